import { useState } from 'preact/hooks'
import { Dialog } from '../../kit/dialog.tsx'
import { ActionButton } from '../../kit/form.tsx'
import { Load, useResource } from '../../kit/resource.tsx'
import { addressOf, CardForm } from '../card-form.tsx'
import { useAccount, useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { client } from '../session.ts'
import { pay } from '../stripe.ts'

/** What proving a card holds and releases; Bursar's own amount, in US cents. */
const HOLD_CENTS = 100

export default function Cards() {
  const { publishableKey } = useConfig()
  const account = useAccount()
  const [dialog, setDialog] = useState<'add' | 'replace'>()
  const [said, setSaid] = useState('')
  const cards = useResource(async () => {
    const { data } = await client.cards.list()
    // There is no customer before there is a card.
    const customer = data.length > 0 ? await client.cards.customer() : undefined
    return { data, main: customer?.invoice_settings.default_payment_method }
  })
  const refresh = () => Promise.all([cards.reload(), account.reload()])
  const finish = async (answer: { status: string } | undefined) => {
    setSaid(answer?.status === 'pending' ? t.cards.pending : t.cards.added)
    setDialog(undefined)
    await refresh()
  }
  return (
    <Page title={t.nav.cards} lead={t.cards.lead}>
      <section class="card">
        <header>
          <h2>{t.cards.onFile}</h2>
          <div class="actions">
            {account.value?.bundle && (
              <button type="button" class="quiet" onClick={() => setDialog('replace')}>
                {t.cards.replace}
              </button>
            )}
            <button type="button" onClick={() => setDialog('add')}>
              {t.cards.add}
            </button>
          </div>
        </header>
        <p role="status" class="done">
          {said}
        </p>
        <Load of={cards} empty={{ when: ({ data }) => data.length === 0, text: t.cards.empty }}>
          {({ data, main }) => (
            <ul class="list">
              {data.map(({ id, card }) => (
                <li key={id}>
                  <span class="grow">
                    {t.cards.name(card.brand, card.last4)}
                    <small>{t.cards.expires(card.exp_month, card.exp_year)}</small>
                  </span>
                  {id === main && <span class="tag good">{t.cards.main}</span>}
                  <ActionButton
                    label={t.cards.removeOf(card.brand, card.last4)}
                    run={async () => {
                      await client.cards.remove(id)
                      setSaid(t.cards.removed)
                      await refresh()
                    }}
                  >
                    {t.remove}
                  </ActionButton>
                </li>
              ))}
            </ul>
          )}
        </Load>
      </section>
      {dialog === 'add' && (
        <Dialog title={t.cards.add} onClose={() => setDialog(undefined)}>
          <p>{t.cards.addLead}</p>
          <CardForm
            submit={t.cards.addSubmit}
            amountCents={HOLD_CENTS}
            currency="usd"
            holds
            onSubmit={async (paymentMethod) =>
              finish(
                await pay(publishableKey, (idempotencyKey) =>
                  client.cards.verify({ paymentMethod }, { idempotencyKey }),
                ),
              )
            }
          />
        </Dialog>
      )}
      {dialog === 'replace' && (
        <Dialog title={t.cards.replace} onClose={() => setDialog(undefined)}>
          <p>{t.cards.replaceLead}</p>
          <CardForm
            submit={t.cards.replaceSubmit}
            amountCents={HOLD_CENTS}
            currency="usd"
            holds
            address={account.value?.address === null}
            onSubmit={async (paymentMethod, values) => {
              const address = account.value?.address ? ({ default: true } as const) : addressOf(values)
              await finish(
                await pay(publishableKey, (idempotencyKey) =>
                  client.cards.change({ paymentMethod, address }, { idempotencyKey }),
                ),
              )
            }}
          />
        </Dialog>
      )}
    </Page>
  )
}
