import type { App } from './app.ts'
import type { TestAnswer } from './send.ts'

const PATH = '/v1/usage/reservations'

export const reserve = (app: App, key: string, json: unknown): Promise<TestAnswer> =>
  app.request('POST', PATH, { token: key, json })

export const settle = (app: App, key: string, id: string, json: unknown): Promise<TestAnswer> =>
  app.request('POST', `${PATH}/${id}/settle`, { token: key, json })

export const giveBack = (app: App, key: string, id: string): Promise<TestAnswer> =>
  app.request('DELETE', `${PATH}/${id}`, { token: key })

export const lease = (app: App, key: string, json: unknown): Promise<TestAnswer> =>
  app.request('POST', '/v1/usage/leases', { token: key, json })

/** Reports what was used of a lease, to renew or to return it. */
export const report = (
  app: App,
  key: string,
  id: string,
  kind: 'renew' | 'return',
  json: unknown,
): Promise<TestAnswer> => app.request('POST', `/v1/usage/leases/${id}/${kind}`, { token: key, json })

/** The units left, used and reserved. */
export async function unitsOf(
  app: App,
  key: string,
): Promise<[left: number, used: number, reserved: number]> {
  const { body } = await app.request('GET', '/v1/usage/balance', { token: key })
  return [body.left, body.used, body.reserved]
}
