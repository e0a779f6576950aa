import type { Stripe, StripeElements } from '@stripe/stripe-js'
import { loadScript, namedScript } from '../kit/load-script.ts'
import { hasCode, ToldError } from '../kit/problem.ts'

/** Stripe.js, from where the page says: from Stripe, or from its double on the local stack. */
export async function stripeOf(publishableKey: string): Promise<Stripe> {
  await loadScript(namedScript('stripe-js') ?? '')
  if (!window.Stripe) throw new Error('The script of Stripe is none.')
  stripe ??= window.Stripe(publishableKey)
  return stripe
}

let stripe: Stripe | undefined

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
