import { listRuledDomains } from '../../core/account/mail-domains.ts'
import { endpoint } from '../http/endpoint.ts'
import { isoTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listMailDomains, async ({ query, deps }) => {
  const { domains, next } = await listRuledDomains(deps, query.cursor)
  return {
    domains: domains.map(({ domain, rule, atMs }) => ({ domain, rule, at: isoTime(atMs) })),
    next: next ?? null,
  }
})
