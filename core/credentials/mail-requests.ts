import * as z from 'zod/mini'
import { type Account, readAccount } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { deliverMailOrLeave, queueMail } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, expr } from '../table/expression.ts'
import { dueAt, type Key, keys, MAIL_REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { ConditionFailed } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'
import { codeToMail } from './codes.ts'

/** Mails that anybody can request for an address, with the profile's attribute for the valid code of each. */
const CODE_ATTRIBUTE = { 'reset-password': 'resetCode', 'confirm-email': 'confirmCode' } as const

export type MailRequestPurpose = keyof typeof CODE_ATTRIBUTE

/** Most mails of one purpose that an address gets in an hour, however many are requested. */
const MAILS_AN_HOUR = 5
const mailRequestSchema = z.object({
  purpose: z.enum(['reset-password', 'confirm-email']),
  email: z.string(),
  dueAtMs: z.number(),
  /** Times of recent mails for this request, epoch ms, for the hourly limit. */
  sentAtMs: z.optional(z.array(z.number())),
})

/**
 * Stores a request for a mail: one write, whether or not an account has the address. Only the job looks that
 * up, so neither the answer nor its cost reveals whether the address is known.
 */
export async function requestMail(
  deps: Deps<'table'>,
  purpose: MailRequestPurpose,
  email: string,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const key = emailKey(email)
  const { due, dueAtMs } = dueAt('ASK', deps.ids.hex(2), nowMs)
  const { ttl } = ttlAt(nowMs + MAIL_REQUEST_KEPT_MS)
  await deps.table.update(
    keys.ask(purpose, key),
    expr`SET #purpose = ${purpose}, #email = ${key}, #due = ${due}, #dueAtMs = ${dueAtMs}, #ttl = ${ttl}`,
  )
}

/**
 * Answers the requests that are due: mails a code, which replaces the account's earlier code unless that is fresh. A request
 * is dropped if no account with this address needs the code, or if the address has had its mails for the
 * hour.
 * @returns how many requests led to a mail, and how many failed and stay due.
 */
export function answerMailRequests(deps: Deps<'table' | 'mail' | 'keyring'>, run: Run): Promise<Worked> {
  return eachDue(deps, 'ASK', run, (key) => answerMailRequest(deps, key))
}

async function answerMailRequest(deps: Deps<'table' | 'mail' | 'keyring'>, key: Key): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  try {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const request = z.parse(mailRequestSchema, item)
    // A request that arrives meanwhile changes the due time. This condition then fails; the next run answers.
    const unchanged = expr`#dueAtMs = ${request.dueAtMs}`
    const recent = (request.sentAtMs ?? []).filter((sentMs) => sentMs > nowMs - HOUR_MS)
    const account = await findRecipient(deps, request.purpose, request.email)
    if (!account || recent.length >= MAILS_AN_HOUR) {
      await deps.table.update(key, expr`REMOVE #due, #dueAtMs`, unchanged)
      return false
    }
    const { id: accountId, email, username } = account
    const attribute = CODE_ATTRIBUTE[request.purpose]
    const code = await codeToMail(deps, request.purpose, accountId, account[attribute])
    const { mail, write } = queueMail(deps, {
      accountId,
      to: email,
      template: request.purpose,
      values: { username },
      codeLookup: code.lookup,
    })
    await deps.table.transact([
      {
        update: keys.profile(accountId),
        set: expr`SET ${attr(attribute)} = ${code.lookup}`,
        if: expr`#status = ${'active'} AND #email = ${email}`,
      },
      { put: code.item, ...(code.unchanged && { if: code.unchanged }) },
      write,
      { update: key, set: expr`SET #sentAtMs = ${[...recent, nowMs]} REMOVE #due, #dueAtMs`, if: unchanged },
    ])
    await deliverMailOrLeave(deps, mail)
    return true
  } catch (error) {
    if (error instanceof ConditionFailed) return false
    throw error
  }
}

/** The account that has the address and needs the code; undefined if there is none. */
async function findRecipient(
  deps: Deps<'table'>,
  purpose: MailRequestPurpose,
  email: string,
): Promise<Account | undefined> {
  const guard = await deps.table.get(keys.emailGuard(email))
  const account = guard && (await readAccount(deps, String(guard.accountId)))
  if (account?.status !== 'active') return undefined
  return purpose === 'reset-password' || !account.emailVerified ? account : undefined
}
