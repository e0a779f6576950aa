import * as z from 'zod/mini'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { announceRevoked } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { mailDomainKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { writeAll } from '../table/write-all.ts'
import { asciiDomain } from './email-domain.ts'

/** What operators decide about a domain of mail and those below it. `allow` also lets a disposable one in. */
export const domainRules = ['block', 'allow'] as const
export type DomainRule = (typeof domainRules)[number]

const ruleSchema = z.object({ domain: z.string(), rule: z.enum(domainRules), atMs: z.number() })
export type RuledDomain = z.infer<typeof ruleSchema>

/** A domain with those above it, the nearest first, without top-level domains. */
function domainsAbove(domain: string): string[] {
  const labels = domain.split('.')
  return labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
}

/**
 * Checks that new accounts may use an address. Accounts that have one of the domain already keep working. What an
 * operator has decided comes first, the nearest domain before those above it, then the list of disposable domains.
 * @throws DomainError `invalid_request` with the field `email`
 */
export async function requireMailDomain(deps: Deps<'table' | 'mailDomains'>, address: string): Promise<void> {
  const domain = asciiDomain(address.slice(address.lastIndexOf('@') + 1))
  if (domain === undefined) return
  const above = domainsAbove(domain)
  const items = await Promise.all(above.map((each) => deps.table.get(mailDomainKey(each))))
  const [ruled] = items.flatMap((item) => (item ? [z.parse(ruleSchema, item)] : []))
  if (ruled?.rule === 'allow') return
  const isDisposable = async () =>
    (await Promise.all(above.map((each) => deps.mailDomains.isDisposable(each)))).includes(true)
  if (!ruled && !(await isDisposable())) return
  const message = 'must be of another provider: we do not take addresses of this domain'
  throw new DomainError('invalid_request', { fields: [{ field: 'email', message }] })
}

/**
 * Decides about a domain. A repeat changes nothing.
 * @param rule undefined: as if nobody had decided
 * @throws DomainError `invalid_request` for what is no domain; `conflict`
 */
export async function ruleDomain(
  deps: Deps<'table'>,
  typed: string,
  rule: DomainRule | undefined,
  reason: string,
): Promise<string> {
  const domain = asciiDomain(typed)
  if (domain === undefined)
    throw new DomainError('invalid_request', { fields: [{ field: 'domain', message: 'must be a domain' }] })
  const key = mailDomainKey(domain)
  await retryRaces(deps, async () => {
    const item = await deps.table.get(key)
    const before = item && z.parse(ruleSchema, item)
    if (before?.rule === rule) return
    const same = before
      ? expr`#atMs = ${before.atMs} AND #rule = ${before.rule}`
      : expr`attribute_not_exists(pk)`
    await writeAll(deps, [
      rule
        ? { put: { ...key, domain, rule, atMs: deps.clock.nowMs() }, if: same }
        : { remove: key, if: same },
      ...(rule === 'block' ? [announceRevoked(deps, 'mail-domain', domain)] : []),
      ...auditWrites(deps, {
        action: 'operator.mail_domain_ruled',
        reason,
        before: { domain, rule: before?.rule },
        after: { domain, rule },
      }),
    ])
  })
  return domain
}

/** A page of the list. */
const PAGE = 100

/**
 * The domains that operators have decided about, by name.
 * @param cursor `next` of the page before
 */
export async function listRuledDomains(
  deps: Deps<'table'>,
  cursor?: string,
): Promise<{ domains: RuledDomain[]; next: string | undefined }> {
  const { pk, sk } = mailDomainKey('')
  const after = cursor === undefined ? {} : { after: mailDomainKey(cursor) }
  const { items, isLast } = await deps.table.page(pk, sk, { limit: PAGE, ...after })
  const domains = items.map((item) => z.parse(ruleSchema, item))
  return { domains, next: isLast ? undefined : domains.at(-1)?.domain }
}
