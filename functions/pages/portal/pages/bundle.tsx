import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { Dialog } from '../../kit/dialog.tsx'
import { type FieldSpec, Form } from '../../kit/form.tsx'
import { minorUnits, moneyText, numberText } from '../../kit/language.ts'
import { Load } from '../../kit/resource.tsx'
import { addressOf, CardForm } from '../card-form.tsx'
import type { Config } from '../config.ts'
import { type User, useAccount, useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'
import { pay } from '../stripe.ts'

type Offer = Config['bundles'][number]

export default function Bundle() {
  const account = useAccount()
  const { bundles } = useConfig()
  const [chosen, setChosen] = useState<Offer>()
  const [bought, setBought] = useState<Offer>()
  return (
    <Page title={t.nav.bundle} lead={t.bundle.lead}>
      <p role="status" class={bought ? 'notice good' : 'hidden'}>
        {bought && t.bundle.bought(bought.title, bought.units)}
      </p>
      <Load of={account}>
        {(user) => (
          <div class="tiles">
            {bundles.map((offer) => {
              const held = offer.name === user.bundle?.name
              return (
                <section
                  key={offer.name}
                  class={held ? 'card offer chosen' : 'card offer'}
                  aria-label={offer.title}
                >
                  <header>
                    <h2>{offer.title}</h2>
                    {held && <span class="tag good">{t.bundle.held}</span>}
                  </header>
                  <p class="big">{moneyText(offer.price, offer.currency)}</p>
                  <ul class="plain">
                    <li>{t.bundle.units(offer.units)}</li>
                    {offer.monthlyUnits > 0 && <li>{t.bundle.monthly(offer.monthlyUnits)}</li>}
                    <li>
                      {offer.expiresAfterDays === null
                        ? t.bundle.keeps
                        : t.bundle.expires(offer.expiresAfterDays)}
                    </li>
                    <li>
                      {t.bundle.perThousand(moneyText((offer.price / offer.units) * 1000, offer.currency))}
                    </li>
                  </ul>
                  <p>
                    <button
                      type="button"
                      class={held || !user.bundle ? undefined : 'quiet'}
                      onClick={() => setChosen(offer)}
                    >
                      {held ? t.bundle.refill : user.bundle ? t.bundle.change : t.bundle.choose}
                      <span class="hidden"> {offer.title}</span>
                    </button>
                  </p>
                </section>
              )
            })}
            {chosen && (
              <Buy
                user={user}
                offer={chosen}
                onClose={() => setChosen(undefined)}
                onBought={async () => {
                  setBought(chosen)
                  setChosen(undefined)
                  await account.reload()
                }}
              />
            )}
          </div>
        )}
      </Load>
    </Page>
  )
}

interface BuyProps {
  user: User
  offer: Offer
  onClose(): void
  onBought(): Promise<void>
}

/** Says what is charged before it is. The first bundle takes a card and an address, the others charge the card on file. */
function Buy({ user, offer, onClose, onBought }: BuyProps) {
  const { publishableKey } = useConfig()
  const { route } = useLocation()
  const price = moneyText(offer.price, offer.currency)
  const coupon: FieldSpec = { name: 'coupon', label: t.bundle.coupon }
  const finish = async (answer: { id: string } | undefined) => {
    if (answer && 'id' in answer) return route(href('purchase', answer.id))
    await onBought()
  }
  const buy = (values: Record<string, string>) =>
    pay(publishableKey, (idempotencyKey): Promise<{ id: string } | undefined> => {
      const body = values.coupon ? { coupon: values.coupon } : {}
      return offer.name === user.bundle?.name
        ? (client.bundle.buy(body, { idempotencyKey }) as Promise<{ id: string } | undefined>)
        : (client.bundle.change(offer.name, body, { idempotencyKey }) as Promise<{ id: string } | undefined>)
    })
  return (
    <Dialog title={t.bundle.buyTitle(offer.title)} onClose={onClose}>
      <p>{t.bundle.buyText(numberText(offer.units), price)}</p>
      {user.bundle ? (
        <Form
          submit={t.bundle.pay(price)}
          fields={[coupon]}
          onSubmit={async (values) => finish(await buy(values))}
        />
      ) : (
        <CardForm
          submit={t.bundle.pay(price)}
          amountCents={minorUnits(offer.price, offer.currency)}
          currency={offer.currency}
          address
          fields={[coupon]}
          onSubmit={async (paymentMethod, values) =>
            finish(
              (await pay(publishableKey, (idempotencyKey) =>
                client.bundle.signUp(
                  {
                    name: offer.name,
                    paymentMethod,
                    address: addressOf(values),
                    ...(values.coupon && { coupon: values.coupon }),
                  },
                  { idempotencyKey },
                ),
              )) as { id: string } | undefined,
            )
          }
        >
          <p class="hint">{t.bundle.renewsItself}</p>
        </CardForm>
      )}
    </Dialog>
  )
}
