import type { Stripe, StripeElements } from '@stripe/stripe-js'
import { hasCode, ToldError } from '../kit/problem.ts'

let loading: Promise<Stripe> | undefined

/** Loads Stripe.js once, from where the page says: from Stripe, or from its double on the local stack. */
export function stripeOf(publishableKey: string): Promise<Stripe> {
  loading ??= new Promise<Stripe>((resolve, reject) => {
    const source = document.querySelector<HTMLMetaElement>('meta[name=stripe-js]')?.content ?? ''
    const script = Object.assign(document.createElement('script'), { src: source, async: true })
    script.onload = () =>
      window.Stripe ? resolve(window.Stripe(publishableKey)) : reject(new Error('No Stripe.js'))
    script.onerror = () => {
      loading = undefined
      script.remove()
      reject(new Error('Stripe.js could not be loaded.'))
    }
    document.head.append(script)
  })
  return loading
}

/** What Stripe says about a card or a bank, in the person's language; nothing was charged. */
const refusalOf = ({ message }: { message?: string | undefined }): ToldError => new ToldError(message)

/** The ConfirmationToken of the card in the element, which Bursar takes as a payment method, once. */
export async function tokenOf(stripe: Stripe, elements: StripeElements): Promise<string> {
  const { error: incomplete } = await elements.submit()
  if (incomplete) throw refusalOf(incomplete)
  const { confirmationToken, error } = await stripe.createConfirmationToken({ elements })
  if (error) throw refusalOf(error)
  return confirmationToken.id
}

/** Shows the bank's 3-D Secure. @throws ToldError if the bank or the person said no */
export async function authenticate(stripe: Stripe, clientSecret: string): Promise<void> {
  const { error } = await stripe.handleNextAction({ clientSecret })
  if (error) throw refusalOf(error)
}

const PAUSE_MS = 1_000
const MOST_REPEATS = 20

/**
 * Pays: shows 3-D Secure if the bank asks for it, and then repeats the same request until Stripe's webhook has settled it.
 * @param run sends the request with a key, so that a repeat is the same payment
 */
export async function pay<T>(
  publishableKey: string,
  run: (idempotencyKey: string) => Promise<T>,
): Promise<T> {
  const key = crypto.randomUUID()
  let asked = false
  for (let repeat = 0; ; repeat++) {
    try {
      return await run(key)
    } catch (error) {
      if (!hasCode(error, 'payment_action_required') || repeat === MOST_REPEATS) throw error
      if (!asked && error.clientSecret) await authenticate(await stripeOf(publishableKey), error.clientSecret)
      else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      asked = true
    }
  }
}
