import * as z from 'zod/mini'
import { type Account, readAccount } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { countMailTo } from '../limits/mailbox-limits.ts'
import { networkOf } from '../limits/network.ts'
import { deliverMailOrLeave, queueMail } from '../notifications/outbox.ts'
import type { QueuedMail } from '../notifications/queued-mail.ts'
import { holdsMailBack } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { eachOf, type Run, type Worked } from '../table/due.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { ADDRESS_CHANGE_PREFIX, dueAt, type Key, keys, MAIL_REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { ConditionFailed, type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { HOUR_MS } from '../time.ts'
import { CODE_IN_PROFILE, type CodePurpose, newCode, renewCode } from './codes.ts'
import { waitingMail } from './recovery-news.ts'
import { openRecovery } from './recovery-state.ts'
import { hasSecondFactor } from './two-factor.ts'

/** What anybody can request a mail for, by the address. */
export const mailRequestPurposes = ['reset-password', 'confirm-email', 'recovery'] as const

export type MailRequestPurpose = (typeof mailRequestPurposes)[number]

/** Most mails of one purpose that an address gets in an hour, however many are requested. */
const MAILS_AN_HOUR = 5
const mailRequestSchema = z.object({
  purpose: z.enum(mailRequestPurposes),
  email: z.string(),
  dueAtMs: z.number(),
  /** When it was last requested, epoch ms. */
  askedAtMs: z.optional(z.number()),
  /** The lanes of the networks that have requested it since the last answer. */
  lanes: z.optional(z.set(z.number())),
  /** Times of recent mails for this request, epoch ms, for the hourly limit. */
  sentAtMs: z.optional(z.array(z.number())),
})

type MailRequest = z.infer<typeof mailRequestSchema> & Key

/**
 * Requests wait in lanes, which take turns, so that a network with thousands of them does not delay another one's. The
 * number is that of a lane, so the table does not hold the network; and it bounds what a request can hold.
 */
const LANES = 1024

/** Requests of our own, such as an operator's. */
const OWN_LANE = LANES

function laneOf({ keyring, origin }: Deps<'keyring'>): number {
  if (origin?.ip === undefined) return OWN_LANE
  return keyring.mac('mac:mail-lane', networkOf(origin.ip)).readUInt16BE() % LANES
}

/**
 * Stores a request for a mail: one write, whether or not an account has the address. Only the job looks that
 * up, so neither the answer nor its cost reveals whether the address is known.
 */
export const requestMail = (
  deps: Deps<'table' | 'keyring'>,
  purpose: MailRequestPurpose,
  email: string,
): Promise<void> => writeAll(deps, [mailRequest(deps, purpose, email, laneOf(deps))])

/**
 * The write that stores a request for a mail. A request that waits already keeps its place, so that nobody holds it
 * back by asking again and again.
 */
export function mailRequest(
  deps: Deps,
  purpose: MailRequestPurpose,
  email: string,
  lane: number = OWN_LANE,
): Write {
  const nowMs = deps.clock.nowMs()
  const key = emailKey(email)
  const { due, dueAtMs } = dueAt('ASK', deps.ids.hex(2), nowMs)
  const { ttl } = ttlAt(nowMs + MAIL_REQUEST_KEPT_MS)
  const set = [
    expr`#purpose = ${purpose}, #email = ${key}, #askedAtMs = ${nowMs}, #ttl = ${ttl}`,
    expr`#due = if_not_exists(#due, ${due}), #dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`,
  ]
  return {
    update: keys.ask(purpose, key),
    set: join([setRemove(set, []), expr`ADD #lanes ${new Set([lane])}`], ' '),
  }
}

/** How many of the requests that wait a round looks at, and how many it looks up at once. */
const LOOKED_AT = 8_000
const LOOKED_UP = 1_000

/** How many requests a round answers, so that the mails of customers, which wait meanwhile, are sent soon. */
const ANSWERED = 20

/** How many requests that lead nowhere are removed at once. */
const REMOVED_AT_ONCE = 32

/** What came of a round. */
interface Answered extends Worked {
  left: number
  /** Requests that were due. */
  found: number
  /** How long the oldest of them had waited, ms; 0 if there was none. */
  waitedMs: number
}

/**
 * Answers requests that are due, a round of them: first removes all those that lead to nobody, then takes the others
 * from the lanes in turns and mails a code. The code of the mail before is sent again for as long as it is valid, so
 * that nobody makes the code useless that its owner is about to type. An address that has had its mails for the hour
 * gets no other, but the code in its newest mail is made valid again: whoever asks all day keeps nobody from a code
 * that works.
 * @returns how many requests led to a mail, how many failed and stay due, and how many are left for the next round.
 */
export async function answerMailRequests(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  run: Run,
): Promise<Answered> {
  const nowMs = deps.clock.nowMs()
  const waiting = await deps.table.due('ASK', nowMs, LOOKED_AT)
  const known: MailRequest[] = []
  let [found, failed, waitedMs] = [0, 0, 0]
  for (let at = 0; at < waiting.length; at += LOOKED_UP) {
    const requests = await readRequests(deps, waiting.slice(at, at + LOOKED_UP))
    for (const { dueAtMs } of requests) waitedMs = Math.max(waitedMs, nowMs - dueAtMs)
    found += requests.length
    const looked = await removeNobodys(deps, requests, run)
    known.push(...looked.known)
    failed += looked.failed
  }
  const turns = inTurns(known, Number.parseInt(deps.ids.hex(2), 16))
  const worked = await eachOf(deps, turns.slice(0, ANSWERED), run, (key) => answerMailRequest(deps, key))
  const left = (worked.left ?? 0) + Math.max(0, turns.length - ANSWERED)
  return { done: worked.done, failed: failed + worked.failed, left, found, waitedMs }
}

/** The requests of these keys that are due; the index, which has found them, may be out of date. */
async function readRequests(deps: Deps<'table'>, waiting: readonly Key[]): Promise<MailRequest[]> {
  const nowMs = deps.clock.nowMs()
  const items = await deps.table.getAll(waiting)
  return items.flatMap((item, at) => {
    const key = waiting[at]
    const dueAtMs = Number(item?.dueAtMs ?? Number.POSITIVE_INFINITY)
    if (!key || dueAtMs > nowMs) return []
    const { data } = z.safeParse(mailRequestSchema, item)
    return [{ ...(data ?? { ...UNREADABLE, dueAtMs }), pk: key.pk, sk: key.sk }]
  })
}

/** Stands for a request that cannot be read, which fails alone when its turn comes. */
const UNREADABLE: Omit<z.infer<typeof mailRequestSchema>, 'dueAtMs'> = {
  purpose: 'reset-password',
  email: '',
  sentAtMs: [],
}

/**
 * Removes the requests that lead to nobody, unless they are repeated meanwhile. What says when mails were sent stays.
 * @returns the other requests, and how many could not be removed
 */
async function removeNobodys(
  deps: Deps<'table'>,
  requests: readonly MailRequest[],
  run: Run,
): Promise<{ known: MailRequest[]; failed: number }> {
  const emails = [...new Set(requests.map(({ email }) => email))]
  const guards = await deps.table.getAll(emails.map(keys.emailGuard))
  const held = new Set(emails.filter((_, at) => guards[at] !== undefined))
  const known = requests.filter(({ email }) => held.has(email))
  const others = requests.filter(({ email }) => !held.has(email))
  const { failed } = await eachOf(deps, others, { ...run, width: REMOVED_AT_ONCE }, async (request) => {
    const { purpose, email, sentAtMs } = request
    const mayLead =
      sentAtMs !== undefined ||
      (purpose === 'confirm-email' && (await readChanges(deps, email, 1)).length > 0)
    if (mayLead) known.push(request)
    else await deps.table.remove(request, unchangedSince(request, ['askedAtMs'])).catch(ignoreRefusal)
    return false
  })
  return { known, failed }
}

/**
 * The requests in the order in which they are answered: the oldest of each lane, then the next of each. A request that
 * several networks have made has the best of their places. Which lane is the first is random, so that nobody is always
 * the last when there are more lanes than a round answers requests.
 */
export function inTurns<T extends Pick<MailRequest, 'dueAtMs' | 'lanes'>>(
  requests: readonly T[],
  random: number,
): T[] {
  const lanes = new Map<number, T[]>()
  for (const request of requests.toSorted((a, b) => a.dueAtMs - b.dueAtMs))
    for (const lane of request.lanes ?? [OWN_LANE]) {
      const waiting = lanes.get(lane)
      if (waiting) waiting.push(request)
      else lanes.set(lane, [request])
    }
  const all = [...lanes.values()]
  const first = all.length > 0 ? random % all.length : 0
  const rotated = [...all.slice(first), ...all.slice(0, first)]
  const ordered = new Set<T>()
  for (let place = 0; ordered.size < requests.length; place++)
    for (const lane of rotated) {
      const next = lane[place]
      if (next) ordered.add(next)
    }
  return [...ordered]
}

async function answerMailRequest(deps: Deps<'table' | 'mail' | 'keyring'>, key: Key): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  try {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const request = z.parse(mailRequestSchema, item)
    const isLeased = expr`#dueAtMs = ${request.dueAtMs}`
    const recent = (request.sentAtMs ?? []).filter((sentMs) => sentMs > nowMs - HOUR_MS)
    const recipients = await findRecipients(deps, request.purpose, request.email)
    const mayMail = recent.length < MAILS_AN_HOUR
    const prepared = await Promise.all(recipients.map((recipient) => prepareMail(deps, recipient, mayMail)))
    const mails = prepared.filter((each) => each !== undefined)
    if (mails.length === 0) {
      // A request that arrives meanwhile may lead to a mail. It is answered when the lease ends.
      const isSame = join([isLeased, unchangedSince(request, ['askedAtMs'])], ' AND ')
      await deps.table.update(key, expr`REMOVE #due, #dueAtMs, #lanes`, isSame)
      return false
    }
    await deps.table.transact([
      ...mails.flatMap(({ writes }) => writes),
      {
        update: key,
        set: expr`SET #sentAtMs = ${[...recent, nowMs]} REMOVE #due, #dueAtMs, #lanes`,
        if: isLeased,
      },
    ])
    await Promise.all(mails.map(({ mail }) => deliverMailOrLeave(deps, mail)))
    return true
  } catch (error) {
    if (error instanceof ConditionFailed) return false
    throw error
  }
}

/** Who needs a mail, and where it goes. During the 72 hours of a recovery it has no code. */
interface Recipient {
  account: Account
  purpose: CodePurpose | 'wait-for-recovery'
  to: string
}

/**
 * The mail with a recipient's code, and the writes that store both.
 * @param mayMail whether the address may get another mail within this hour.
 * @returns undefined if there is to be no mail; the code in the newest mail is valid then, if there is one.
 */
async function prepareMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  { account, purpose, to }: Recipient,
  mayMail: boolean,
): Promise<{ mail: QueuedMail; writes: Write[] } | undefined> {
  const { id: accountId, emailVerified, status, username } = account
  const nowMs = deps.clock.nowMs()
  if (holdsMailBack(account, to, purpose !== 'wait-for-recovery', nowMs)) {
    const what = 'a mail that was asked for was not sent, because its address gets no mail'
    deps.log.warn(what, undefined, { accountId, template: purpose })
    return undefined
  }
  const profile = keys.profile(accountId)
  const address = attr(purpose === 'change-email' ? 'pendingEmail' : 'email')
  const isStill = expr`#status = ${status} AND #emailVerified = ${emailVerified} AND ${address} = ${to}`
  if (purpose === 'wait-for-recovery') {
    const open = openRecovery(account, nowMs)
    if (!mayMail || !open) return undefined
    const { mail, write } = waitingMail(deps, account, 'recovery', open, 'running')
    return { mail, writes: [{ check: profile, if: isStill }, write] }
  }
  const attribute = CODE_IN_PROFILE[purpose]
  const lookup = account[attribute]
  const renew = (onlyValid: boolean) => lookup && renewCode(deps, purpose, lookup, onlyValid)
  // Only the owner of the mailbox can use a code up, and only the holder can void it: that frees another mail.
  const isOwners = emailVerified && purpose !== 'confirm-email' && purpose !== 'change-email'
  const isFreed = async () => (lookup === undefined ? isOwners : (await renew(false)) === 'spent')
  if (!mayMail && !(await isFreed())) return undefined
  const limit = purpose === 'reset-password' ? 'reset-to' : 'confirm-to'
  if (!isOwners && (await countMailTo(deps, to, limit)) > 0) {
    await renew(false)
    return undefined
  }
  const isRepeated = (await renew(true)) === 'renewed'
  const code = isRepeated ? undefined : newCode(deps, purpose, accountId)
  const codeLookup = code?.lookup ?? lookup ?? ''
  const { mail, write } = queueMail(deps, {
    accountId,
    to,
    template: purpose,
    values: { username, ...(status === 'deactivated' && { restores: true }) },
    codeLookup,
    isCounted: true,
  })
  const codeWrites: Write[] = code
    ? [
        { update: profile, set: expr`SET ${attr(attribute)} = ${code.lookup}`, if: isStill },
        { put: code.item },
      ]
    : [{ check: profile, if: join([isStill, expr`${attr(attribute)} = ${codeLookup}`], ' AND ') }]
  return { mail, writes: [...codeWrites, write] }
}

/** Accounts whose change to one address is looked at, at most. */
const MOST_CHANGES = 3

/**
 * Who needs the code: the account that has the address, and for a confirmation also the accounts that wait for this
 * address to be confirmed.
 */
async function findRecipients(
  deps: Deps<'table'>,
  purpose: MailRequestPurpose,
  email: string,
): Promise<Recipient[]> {
  const guard = await deps.table.get(keys.emailGuard(email))
  const holder = guard && (await readAccount(deps, String(guard.accountId)))
  const own =
    holder && needsMail[purpose](holder)
      ? [{ account: holder, purpose: purposeFor(deps, holder, purpose), to: holder.email }]
      : []
  return purpose === 'confirm-email' ? [...own, ...(await findChanges(deps, email))] : own
}

/** Which accounts need a mail. A reset or a recovery is the way back to a deactivated account as well. */
const needsMail: Record<MailRequestPurpose, (account: Account) => boolean> = {
  'reset-password': ({ status }) => status === 'active' || status === 'deactivated',
  'confirm-email': ({ status, emailVerified }) => status === 'active' && !emailVerified,
  recovery: (account) =>
    needsMail['reset-password'](account) &&
    account.emailVerified &&
    (hasSecondFactor(account) || account.recovery !== undefined),
}

function purposeFor(deps: Deps, account: Account, asked: MailRequestPurpose): Recipient['purpose'] {
  if (asked !== 'recovery') return asked
  const open = openRecovery(account, deps.clock.nowMs())
  if (!open) return 'begin-recovery'
  return open.isReady ? 'finish-recovery' : 'wait-for-recovery'
}

const readChanges = (deps: Deps<'table'>, email: string, limit: number): Promise<Item[]> =>
  deps.table.list(keys.addressChanges(email), ADDRESS_CHANGE_PREFIX, { limit })

async function findChanges(deps: Deps<'table'>, email: string): Promise<Recipient[]> {
  const items = await readChanges(deps, email, MOST_CHANGES)
  const accounts = await Promise.all(items.map(({ accountId }) => readAccount(deps, String(accountId))))
  return accounts.flatMap((account) => {
    const to = account?.pendingEmail
    const isWaiting = account?.status === 'active' && to !== undefined && emailKey(to) === email
    return isWaiting ? [{ account, purpose: 'change-email' as const, to }] : []
  })
}
