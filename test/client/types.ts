/** Calls that must compile, and wrong ones that must not: `tsc` is the test, and nothing here ever runs. */
import { BursarError, type Client, createClient } from 'bursar/client'

export async function rightCalls(client: Client): Promise<unknown> {
  const { left, replayed } = await client.usage.consume({ units: 1, requestId: 'a' }, { key: 'k' })
  const { key } = await client.keys.create({ name: 'ci' }, { proof: { password: 'p' } })
  const rotated: string = (await client.keys.rotate('id')).key
  const pending = await client.bundle.buy()
  const status: 'pending' | undefined = pending?.status
  const name: 'STARTER' | undefined = undefined
  await client.bundle.signUp({
    name: name ?? 'STARTER',
    paymentMethod: 'pm_card_visa',
    address: { street: 'Main st.', city: 'Berlin', postCode: '10115', country: 'DE' },
  })
  for await (const { id, paidDay } of client.invoices.list({ limit: '10' })) void [id, paidDay]
  for await (const { next, version } of client.account.export()) void [next, version]
  const { cursor } = await client.ledger.list().page()
  await client.password.change({ password: 'p' }, { signal: AbortSignal.timeout(1), idempotencyKey: 'k' })
  await client.webhooks.stripe('{}', { headers: { 'stripe-signature': 't=1' } })
  await client.users.update('ada', { username: 'grace' })
  return [left.toFixed(), replayed === true, key, rotated, status, cursor, createClient({ url: 'http://x' })]
}

export async function wrongCalls(client: Client): Promise<void> {
  // @ts-expect-error no such verb
  await client.usage.spend({ units: 1 })
  // @ts-expect-error units are missing
  await client.usage.consume({})
  // @ts-expect-error the input is missing
  await client.usage.consume()
  // @ts-expect-error units are a number
  await client.usage.consume({ units: '1' })
  // @ts-expect-error no such field
  await client.keys.create({ name: 'ci', colour: 'red' })
  // @ts-expect-error the id of the path is missing
  await client.keys.rotate()
  // @ts-expect-error no such bundle
  await client.bundle.signUp({ name: 'HUGE', paymentMethod: 'pm_card_visa', address: { default: true } })
  // @ts-expect-error the answer has no such field
  await client.usage.balance().then(({ price }) => price)
  // @ts-expect-error a page of a list is no list
  for await (const key of client.keys.list()) void key
  // @ts-expect-error the url is missing
  createClient({ key: 'k' })
}

export function errors(error: unknown): string | undefined {
  if (!(error instanceof BursarError)) return undefined
  switch (error.code) {
    case 'payment_action_required':
      return error.clientSecret.slice(1)
    case 'quota_exhausted':
      return `${error.needed - error.left} more, at ${error.refill.slice(1)}`
    case 'invalid_request':
      return error.errors.map(({ field, message }) => `${field} ${message}`).join()
    case 'card_declined':
      // @ts-expect-error only a payment that needs 3-D Secure certainly has a secret
      return error.clientSecret.slice(1)
    // @ts-expect-error no such code
    case 'card_refused':
      return undefined
    case 'connection_lost':
    case 'timed_out':
      return error.idempotencyKey
    default:
      return error.retryAfter?.toFixed()
  }
}
