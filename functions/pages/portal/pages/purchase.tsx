import { useEffect } from 'preact/hooks'
import { useRoute } from 'preact-iso'
import { ActionButton } from '../../kit/form.tsx'
import { moneyText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { useAccount, useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'
import { authenticate, stripeOf } from '../stripe.ts'

const POLL_MS = 2_000

/** One purchase or renewal, to which the mail about 3-D Secure links: its state, and how to finish it. */
export default function Purchase() {
  const { params } = useRoute()
  const { publishableKey, bundles } = useConfig()
  const account = useAccount()
  const purchase = useResource(() => client.purchases.get(params.id ?? ''), [params.id])
  const state = purchase.value?.state
  useEffect(() => {
    if (state === 'paid') account.reload()
    if (state !== 'pending') return
    const timer = setInterval(purchase.reload, POLL_MS)
    return () => clearInterval(timer)
  }, [state, purchase.reload])
  return (
    <Page title={t.purchase.title}>
      <section class="card">
        <Load of={purchase}>
          {({ bundle, amount, state, clientSecret }) => (
            <>
              <p class="big">{moneyText(amount, bundles[0]?.currency ?? 'USD')}</p>
              <p>{t.purchase.states[state](bundle)}</p>
              {state === 'pending' && (
                <p class="loading" role="status">
                  <span class="spinner" aria-hidden="true" /> {t.purchase.waiting}
                </p>
              )}
              {state === 'action_required' && clientSecret && (
                <div class="actions">
                  <ActionButton
                    class=""
                    run={async () => {
                      try {
                        await authenticate(await stripeOf(publishableKey), clientSecret)
                      } finally {
                        await purchase.reload()
                      }
                    }}
                  >
                    {t.purchase.authenticate}
                  </ActionButton>
                </div>
              )}
              <p>
                <a href={href(state === 'declined' ? 'cards' : 'overview')}>
                  {state === 'declined' ? t.nav.cards : t.nav.overview}
                </a>
              </p>
            </>
          )}
        </Load>
      </section>
    </Page>
  )
}
