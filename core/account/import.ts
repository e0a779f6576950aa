import { auditWrites } from '../audit/entry.ts'
import { newCode } from '../credentials/codes.ts'
import { sealHash } from '../credentials/first-password.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { ledgerWrites } from '../ledger/entry.ts'
import { provedMailboxesOf } from '../limits/mailbox.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { trialMark } from '../quota/trial.ts'
import { expr } from '../table/expression.ts'
import { importKey, type Key, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Item, type Write } from '../table/table.ts'
import type { Profile } from './account.ts'
import { emailKey, usernameKey } from './fields.ts'
import { findCustomer, type TakenOver, takeOverCustomer } from './import-customer.ts'
import type { ImportRefusal } from './import-refusals.ts'
import { newAccount } from './new-account.ts'
import { takeAddress } from './unconfirmed.ts'

/** An account as another system had it. */
export interface ImportedUser {
  /** The operator says that it is its owner's. */
  email: string
  username: string
  fullName?: string | undefined
  /** When the account was made there (RFC 3339); now if it is absent or later. */
  created?: string | undefined
  /** Units that are left there. They take the place of the trial. */
  units?: number | undefined
  /** Stripe's id of the customer. */
  customer?: string | undefined
  /** Hash of the password in a form that `parsePasswordHash` reads. */
  passwordHash?: string | undefined
}

export interface ImportOptions {
  /** Why, in the operator's words. */
  reason: string
  /** Only look, and write nothing. */
  dryRun: boolean
  /** Mail a link with which the owner sets a password. */
  invite: boolean
}

/**
 * What became of one user: imported, now or by an earlier request; to be imported, by a dry run; refused; or not known,
 * because a service failed, so that the same user has to be sent again.
 */
export type ImportResult =
  | { status: 'imported'; id: string; replayed?: true }
  | { status: 'importable' }
  | { status: 'refused'; reason: ImportRefusal }
  | { status: 'unavailable' }

type ImportDeps = Deps<'table' | 'keyring' | 'payments' | 'paymentScope'>

/**
 * Imports accounts from another system, each by itself, in the order of the answer. A user is recognised by the
 * address: whatever is sent again makes nothing twice, also after the owner has changed the address or the account was
 * erased.
 * @throws DomainError `temporarily_unavailable` if nothing is known of any of them
 */
export async function importUsers(
  deps: ImportDeps,
  users: readonly ImportedUser[],
  options: ImportOptions,
): Promise<ImportResult[]> {
  const failures: DomainError[] = []
  const results = await Promise.all(
    users.map((user) =>
      importUser(deps, user, options).catch((error: unknown): ImportResult => {
        if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
        failures.push(error)
        return { status: 'unavailable' }
      }),
    ),
  )
  const [first] = failures
  if (first && failures.length === users.length) throw first
  return results
}

/** Stops the import of a user. */
class ImportRefused extends Error {
  readonly reason: ImportRefusal
  constructor(reason: ImportRefusal) {
    super(reason)
    this.reason = reason
  }
}

async function importUser(
  deps: ImportDeps,
  user: ImportedUser,
  options: ImportOptions,
): Promise<ImportResult> {
  const importOnce = async () => {
    const known = await findImported(deps, user)
    if (known) return known
    return options.dryRun ? lookAt(deps, user) : writeUser(deps, user, options)
  }
  try {
    return await retryRaces(deps, importOnce, 'temporarily_unavailable')
  } catch (error) {
    if (error instanceof ImportRefused) return { status: 'refused', reason: error.reason }
    throw error
  }
}

interface ImportMark {
  key: Key
  digest: string
}

/**
 * The marks that a user may have by the live root secrets, that by the one in use first, and the digest of all that the
 * import says of them.
 */
function marksOf({ keyring }: Deps<'keyring'>, user: ImportedUser): [ImportMark, ...ImportMark[]] {
  const { email, username, fullName, created, units, customer, passwordHash } = user
  const said = [emailKey(email), username, fullName, created, units, customer, passwordHash]
  const [inUse, ...others] = keyring.macs('mac:import', emailKey(email))
  const [digest, ...otherDigests] = keyring.macs('mac:imported-user', JSON.stringify(said))
  const mark = (mac: Buffer, of = digest): ImportMark => ({
    key: importKey(mac.toString('hex').slice(0, 32)),
    digest: of.toString('base64url'),
  })
  return [mark(inUse), ...others.map((mac, at) => mark(mac, otherDigests[at]))]
}

/** @throws ImportRefused if the same address was imported with something else */
async function findImported(deps: ImportDeps, user: ImportedUser): Promise<ImportResult | undefined> {
  for (const { key, digest } of marksOf(deps, user)) {
    const mark = await deps.table.get(key)
    if (!mark) continue
    if (mark.digest !== digest) throw new ImportRefused('imported_differently')
    return { status: 'imported', id: String(mark.accountId), replayed: true }
  }
  return undefined
}

/** @throws ImportRefused */
async function lookAt(deps: ImportDeps, { email, username, customer }: ImportedUser): Promise<ImportResult> {
  if (!(await takeAddress(deps, '', email))) throw new ImportRefused('email_taken')
  if (await deps.table.get(keys.usernameGuard(usernameKey(username))))
    throw new ImportRefused('username_taken')
  if (customer === undefined) return { status: 'importable' }
  if (await deps.table.get(keys.customerOwner(customer))) throw new ImportRefused('customer_taken')
  const found = await findCustomer(deps, customer)
  if ('refused' in found) throw new ImportRefused(found.refused)
  return { status: 'importable' }
}

/**
 * Stores all of an account in one transaction. Its cards are those that the customer has at the provider at this moment.
 * @throws ImportRefused
 * @throws ConditionFailed if another writer was faster
 */
async function writeUser(
  deps: ImportDeps,
  user: ImportedUser,
  options: ImportOptions,
): Promise<ImportResult> {
  const { email, username } = user
  const fresh = newAccount(deps, { username, email })
  const { id } = fresh.profile
  const address = await takeAddress(deps, id, email)
  if (!address) throw new ImportRefused('email_taken')
  const customer = user.customer === undefined ? undefined : await takeOverCustomer(deps, id, user.customer)
  if (customer && 'refused' in customer) throw new ImportRefused(customer.refused)
  const [mark] = marksOf(deps, user)
  // The positions of these are known when a condition fails.
  const guards: Write[] = [
    { put: { ...mark.key, accountId: id, digest: mark.digest }, if: absent },
    { put: { ...keys.usernameGuard(usernameKey(username)), accountId: id }, if: absent },
    ...(customer ? [customer.guard] : []),
  ]
  try {
    await deps.table.transact([
      ...guards,
      ...address,
      ...accountWrites(deps, fresh, user, { customer, ...options }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    if (error.failed.has(1)) throw new ImportRefused('username_taken')
    if (customer && error.failed.has(2)) throw new ImportRefused('customer_taken')
    throw error
  }
  return { status: 'imported', id }
}

const absent = expr`attribute_not_exists(pk)`

/** The account itself, who hears of it, and the invitation. */
function accountWrites(
  deps: ImportDeps,
  { profile: fresh, quota, keyLookup }: ReturnType<typeof newAccount>,
  user: ImportedUser,
  { reason, invite, customer }: ImportOptions & { customer: TakenOver | undefined },
): Write[] {
  const { id, createdAtMs: nowMs } = fresh
  const { units = 0, passwordHash, fullName, created } = user
  const opening = openingUnits(id, units, nowMs)
  const [mailbox] = provedMailboxesOf(deps, fresh.email)
  const invitation = invite ? invitationWrites(deps, fresh, passwordHash !== undefined) : undefined
  const profile: Profile = {
    ...fresh,
    status: 'active',
    emailVerified: true,
    mailbox,
    // The operator says whose the address is, so nobody else has read the keys.
    holderEmail: emailKey(fresh.email),
    createdAtMs: created === undefined ? nowMs : Math.min(Date.parse(created), nowMs),
    ledgerSeq: opening.seq,
    unenrolled: true,
    ...(fullName !== undefined && { name: fullName }),
    ...(passwordHash !== undefined && { importedPassword: sealHash(deps, id, passwordHash) }),
    ...(customer && { customerId: customer.id }),
    ...invitation?.profile,
  }
  const after = {
    units,
    password: passwordHash !== undefined,
    invited: invite,
    ...(customer && { customer: customer.id }),
  }
  return [
    { put: { ...keys.profile(id), ...profile }, if: absent },
    { put: { ...quota, ...opening.counter } },
    { put: keyLookup, if: absent },
    ...opening.writes,
    // Its units take the place of the trial, whether or not the mailbox has had one.
    { put: trialMark(mailbox, nowMs) },
    ...(customer?.writes ?? []),
    ...auditWrites(deps, { action: 'operator.imported', accountId: id, reason, after }),
    announce(deps, id, 'account.imported', { units }),
    ...(invitation?.writes ?? []),
  ]
}

/** The ledger entry and the counter with the units that are left of the system before. */
function openingUnits(
  accountId: string,
  units: number,
  nowMs: number,
): { seq: number; counter: Item; writes: Write[] } {
  if (units === 0) return { seq: 0, counter: {}, writes: [] }
  const writes = ledgerWrites(accountId, 0, nowMs, [{ kind: 'import', units, amountCents: 0 }])
  return { seq: 1, counter: { l: units, s: 1 }, writes }
}

function invitationWrites(
  deps: ImportDeps,
  { id, username, email }: Pick<Profile, 'id' | 'username' | 'email'>,
  keepsPassword: boolean,
) {
  const code = newCode(deps, 'invitation', id)
  const values = { username, ...(keepsPassword && { keepsPassword }) }
  const mail = { accountId: id, to: email, template: 'invitation', values, codeLookup: code.lookup } as const
  // Ten thousand mails are for the job.
  return { profile: { resetCode: code.lookup }, writes: [{ put: code.item }, queueMail(deps, mail, 0).write] }
}
