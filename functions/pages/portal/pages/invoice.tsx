import { useRoute } from 'preact-iso'
import { dayText, moneyText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'

export default function Invoice() {
  const { params } = useRoute()
  const invoice = useResource(() => client.invoices.get(params.id ?? ''), [params.id])
  return (
    <Page title={t.invoices.one}>
      <section class="card">
        <Load of={invoice}>
          {({ amount, currency, state, paidOn, description, coupon, payment }) => (
            <>
              <p class="big">{moneyText(amount, currency)}</p>
              <dl class="facts">
                <dt>{t.invoices.day}</dt>
                <dd>{dayText(paidOn)}</dd>
                <dt>{t.invoices.status}</dt>
                <dd>{t.invoices.states[state]}</dd>
                <dt>{t.invoices.what}</dt>
                <dd>{description}</dd>
                <dt>{t.invoices.card}</dt>
                <dd>{t.cards.name(payment.card.brand, payment.card.last4)}</dd>
                {coupon && (
                  <>
                    <dt>{t.bundle.coupon}</dt>
                    <dd>
                      {coupon.code} ({moneyText(-coupon.discount, currency)})
                    </dd>
                  </>
                )}
              </dl>
              <div class="actions">
                {payment.receiptUrl && (
                  <a class="button" href={payment.receiptUrl} target="_blank" rel="noreferrer">
                    {t.invoices.receipt}
                  </a>
                )}
                <button type="button" class="quiet" onClick={() => print()}>
                  {t.invoices.print}
                </button>
              </div>
            </>
          )}
        </Load>
      </section>
      <p>
        <a href={href('invoices')}>{t.invoices.all}</a>
      </p>
    </Page>
  )
}
