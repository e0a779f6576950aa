import { ruleDomain } from '../../core/account/mail-domains.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.ruleMailDomain, async ({ body, deps }) => {
  const { domain, rule, reason } = body
  return { domain: await ruleDomain(deps, domain, rule === 'none' ? undefined : rule, reason), rule }
})
