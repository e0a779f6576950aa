import { auditWrites } from '../audit/entry.ts'
import { textOfBase64url } from '../base64url.ts'
import { mailRequestPurposes } from '../credentials/mail-requests.ts'
import { DomainError } from '../errors.ts'
import { tellOwner } from '../notifications/security.ts'
import type { SecurityEvent } from '../notifications/security-texts.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { attr, expr, join, unchangedSince } from '../table/expression.ts'
import { endOfKind, type Key, keys, WHOLE_PARTITION } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import type { Account, SessionCaller } from './account.ts'
import { changeAnyAccount, changeSession } from './change.ts'
import {
  exportedEntries,
  exportedKinds,
  mailRequestKind,
  omittedKinds,
  storedElsewhere,
} from './export-sections.ts'
import { emailKey } from './fields.ts'

/** Exports that may be started in an hour. Each tells the owner by mail. */
const EXPORTS_AN_HOUR = 5
/** A start within this time of the one before repeats it: it counts once and tells the owner once. */
const SAME_START_MS = MINUTE_MS
/** A page within this time of a start belongs to it; nobody reads pages without having started an export. */
const SAME_EXPORT_MS = HOUR_MS

/** Items on a page: a page stays far below the 6 MB that Lambda can answer, even with the longest notices. */
const PAGE_ITEMS = 500

/** One page of what is stored about an account. */
export interface ExportPage {
  /** When the export was started, epoch ms. */
  exportedAtMs: number
  /** ISO 4217: the currency of amounts in an entry that names none. */
  currency: string
  /** The items of this page by section, in the order of the table. Names are as stored, times in epoch ms. */
  sections: Record<string, Item[]>
  /** First page only: what is left out and why, and what is stored elsewhere. */
  omitted: { section: string; what: string; why: string }[] | undefined
  elsewhere: typeof storedElsewhere | undefined
  /** The cursor of the next page; undefined on the last one. */
  next: string | undefined
}

/**
 * Exports what is stored about the account, page by page, straight from its partition: a mailed link would need a
 * store of its own for the most personal file there is, and a page is bounded however long the ledger is. Starting
 * an export tells the owner.
 * @param cursor `next` of the page before; undefined starts an export.
 * @throws DomainError `too_many_exports`; `session_ended` and `conflict` as `changeSession` does
 */
export async function exportAccount(
  deps: Deps<'table'>,
  caller: SessionCaller,
  cursor: string | undefined,
): Promise<ExportPage> {
  const isFirst = cursor === undefined
  const exportedAtMs = await startExport(deps, caller, isFirst ? SAME_START_MS : SAME_EXPORT_MS)
  return exportPage(deps, caller.account, cursor, exportedAtMs)
}

async function exportPage(
  deps: Deps<'table'>,
  account: Account,
  cursor: string | undefined,
  exportedAtMs: number,
): Promise<ExportPage> {
  const isFirst = cursor === undefined
  const page = await readExported(deps, account.id, cursor)
  const asked = isFirst ? await mailRequestsFor(deps, account.email) : []
  if (asked.length > 0) page.sections[mailRequestKind.section] = asked
  return {
    ...page,
    exportedAtMs,
    currency: CURRENCY,
    omitted: isFirst ? omissions : undefined,
    elsewhere: isFirst ? storedElsewhere : undefined,
  }
}

/**
 * As `exportAccount`, for an operator. Starting an export is recorded in the audit log, and tells the owner who has
 * exported. The owner's limit does not count.
 * @throws DomainError `not_found`, `conflict`
 */
export async function exportForOperator(
  deps: Deps<'table'>,
  accountId: string,
  { cursor, reason }: { cursor?: string | undefined; reason: string },
): Promise<ExportPage> {
  const isFirst = cursor === undefined
  const { account, atMs } = await changeAnyAccount(deps, accountId, async (each) => ({
    account: each,
    atMs: await noteExport(deps, each, isFirst ? SAME_START_MS : SAME_EXPORT_MS, {
      told: 'data-exported-by-us',
      more: () => auditWrites(deps, { action: 'operator.exported', accountId, reason }),
    }),
  }))
  return exportPage(deps, account, cursor, atMs)
}

/**
 * Starts an export, unless the last one was started less than `sameMs` ago.
 * @returns when the export was started, epoch ms.
 */
const startExport = (deps: Deps<'table'>, caller: SessionCaller, sameMs: number): Promise<number> =>
  changeSession(deps, caller, ({ account }) =>
    noteExport(deps, account, sameMs, { told: 'data-exported', most: EXPORTS_AN_HOUR }),
  )

/** @throws ConditionFailed @throws DomainError `too_many_exports` */
async function noteExport(
  deps: Deps<'table'>,
  account: Account,
  sameMs: number,
  { told, most, more = () => [] }: { told: SecurityEvent; most?: number; more?(): Write[] },
): Promise<number> {
  const nowMs = deps.clock.nowMs()
  // The owner and an operator start exports of their own.
  const startsIn = most === undefined ? 'operatorExportsMs' : 'exportsMs'
  const recent = (account[startsIn] ?? []).filter((atMs) => atMs > nowMs - HOUR_MS)
  const lastMs = recent.at(-1)
  if (lastMs !== undefined && nowMs - lastMs < sameMs) return lastMs
  const [oldestMs = nowMs] = recent
  if (most !== undefined && recent.length >= most)
    throw new DomainError('too_many_exports', {
      retryAfterSeconds: Math.ceil((oldestMs + HOUR_MS - nowMs) / 1000),
    })
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`SET ${attr(startsIn)} = ${[...recent, nowMs]}`,
      if: join([expr`#status = ${account.status}`, unchangedSince(account, [startsIn])], ' AND '),
    },
    ...tellOwner(deps, account, told),
    ...more(),
  ])
  return nowMs
}

/** The items after the cursor. A kind that no export shows is skipped: the marks of spent ids may be many. */
async function readExported(
  deps: Deps<'table'>,
  accountId: string,
  cursor: string | undefined,
): Promise<Pick<ExportPage, 'sections' | 'next'>> {
  const pk = keys.account(accountId)
  const sections: Record<string, Item[]> = {}
  let after: Key | undefined = cursor === undefined ? undefined : { pk, sk: readCursor(cursor) }
  for (let room = PAGE_ITEMS; room > 0; ) {
    const range = { between: WHOLE_PARTITION, limit: room, ...(after && { after }) }
    const items = await deps.table.list(pk, '', range)
    if (items.length === 0) return { sections, next: undefined }
    for (const item of items) {
      const sk = String(item.sk)
      after = { pk, sk }
      for (const kind of exportedKinds.filter(({ prefix }) => sk.startsWith(prefix))) {
        sections[kind.section] ??= []
        sections[kind.section]?.push(...exportedEntries(kind, item))
      }
      const omitted = omittedKinds.find(({ prefix }) => sk.startsWith(prefix))
      if (omitted) after = { pk, sk: endOfKind(omitted.prefix) }
      if (omitted) break
      room--
    }
  }
  return { sections, next: after && Buffer.from(after.sk).toString('base64url') }
}

const readCursor = (cursor: string): string => textOfBase64url(cursor) ?? ''

/** Whether a text is a position in a partition. Any such position is harmless: the partition is the caller's own. */
export const isExportCursor = (text: string): boolean => /^[#-}][ -~]{0,300}$/.test(readCursor(text))

/** Requests by anyone for mails to the address. */
async function mailRequestsFor({ table }: Deps<'table'>, email: string): Promise<Item[]> {
  const asked = mailRequestPurposes.map((purpose) => table.get(keys.ask(purpose, emailKey(email))))
  return (await Promise.all(asked)).flatMap((item) => (item ? exportedEntries(mailRequestKind, item) : []))
}

const omissions = [
  ...exportedKinds.flatMap(({ section, omits = {} }) =>
    Object.entries(omits).map(([what, why]) => ({ section, what, why })),
  ),
  ...omittedKinds.map(({ section, why }) => ({ section, what: 'all', why })),
]
