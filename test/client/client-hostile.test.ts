import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import { BursarError, createClient } from 'bursar/client'
import { expect, test } from 'vitest'
import { realEffects } from '../../functions/client/attempt.ts'

/** What else may answer, and values that no header can hold. */

const clientOf = (answer: () => Response | Promise<Response>) =>
  createClient({
    url: 'http://bursar',
    key: 'k',
    tokens: { accessToken: 'a' },
    retries: 0,
    fetch: async () => answer(),
  })

const errorOf = (call: PromiseLike<unknown>): Promise<Error> =>
  Promise.resolve(call).then(
    () => expect.fail('the call succeeded'),
    (error) => error,
  )

test.each([
  ['nothing', () => new Response('')],
  ['a page', () => new Response('<html>')],
])('status 200 with %s is no answer of Bursar', async (_, answer) => {
  const error = await errorOf(clientOf(answer).usage.consume({ units: 1 }))
  expect(error).toBeInstanceOf(BursarError)
  expect(error).toMatchObject({ code: 'unexpected_answer', status: 200 })
})

test.each([{}, null, 5, { accessToken: 7 }])(
  'signing in with the answer %j signs nobody in',
  async (answer) => {
    const client = clientOf(() => Response.json(answer))
    const error = await errorOf(client.sessions.login({ email: 'a@b.example', password: 'Hello123!' }))
    expect(error).toMatchObject({ code: 'unexpected_answer' })
    expect(client.tokens()).toEqual({ accessToken: 'a' })
  },
)

test.each([{}, null, 'text'])('a list that is answered with %j is an error', async (answer) => {
  const client = clientOf(() => Response.json(answer))
  expect(await errorOf(client.ledger.list().page())).toMatchObject({ code: 'unexpected_answer' })
})

test('a password or a key that no header can hold is refused at once, and is in no error', async () => {
  const { idempotencyKey } = { idempotencyKey: 'secret\u{1f600}' }
  const client = createClient({ url: 'http://bursar.invalid', tokens: { accessToken: 'a' }, key: 'k' })
  const errors = [
    await errorOf(client.keys.create({ name: 'x' }, { proof: { password: 'secret\n1' } })),
    await errorOf(client.usage.consume({ units: 1 }, { idempotencyKey })),
    await errorOf(client.usage.consume({ units: 1 }, { key: 'secret\n' })),
  ]
  for (const error of errors) {
    expect(error).toBeInstanceOf(TypeError)
    expect(inspect(error)).not.toContain('secret')
  }
})

test('a wait leaves nothing on a signal that lives on', async () => {
  const { signal } = new AbortController()
  await realEffects.wait(0, signal)
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
