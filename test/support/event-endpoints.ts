import { parseAudit } from '../../core/audit/entry.ts'
import type { App } from './app.ts'
import type { TestAnswer } from './send.ts'

/** Where the endpoints of the tests get events: no request is sent there. */
export const HOOK_URL = 'https://hooks.example/bursar'

/** Sends a request of an operator about endpoints for events. @param what the rest of the path, such as `/{id}/rotate` */
export const endpoints = (
  app: App,
  method: 'POST' | 'PUT',
  what = '',
  json: object = {},
  operator: 'support' | 'admin' = 'admin',
): Promise<TestAnswer> =>
  app.request(method, `/ops/${operator}/endpoints${what}`, {
    operator,
    json: { reason: 'our billing system', ...json },
  })

/** Makes an endpoint. */
export async function addedEndpoint(app: App, json: object = {}): Promise<{ id: string; secret: string }> {
  const { body } = await endpoints(app, 'POST', '', { url: HOOK_URL, ...json })
  return { id: body.endpoint.id, secret: body.secret }
}

export const listedEndpoints = async (app: App) =>
  (await app.request('GET', '/ops/read/endpoints', { operator: 'read' })).body.endpoints

/** What the audit log has of an operator of the role, oldest first. */
export async function auditOf(app: App, role: 'support' | 'admin') {
  const { table } = await app.ports()
  return (await table.list(`OPERATOR#local-${role}`, 'AUDIT#')).map(parseAudit)
}
