import * as z from 'zod/mini'
import type { Account } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { BUS_EVENT_KEPT_MS, keys, ttlAt } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import { ConditionFailed, type Item } from '../table/table.ts'

const noticeSchema = z.object({
  id: z.string(),
  messageType: z.string(),
  message: z.string(),
  createdAtMs: z.number(),
})

export type Notice = z.infer<typeof noticeSchema>

/** Reads a stored notice. @throws Error if the item is not a notice. */
export const parseNotice = (item: Item): Notice => z.parse(noticeSchema, item)

/** A `bursar.notice` event of EventBridge, as other systems send it. Fields that they add are ignored. */
const noticeEvent = z.object({
  id: z.string().check(z.minLength(1), z.maxLength(100)),
  detail: z.object({
    accountId: z.string().check(z.regex(/^[0-9a-f]{24}$/)),
    messageType: z.string().check(z.minLength(1), z.maxLength(50)),
    message: z.string().check(z.minLength(1), z.maxLength(1000)),
  }),
})

/**
 * Adds a notice for a user, once per event however often it is delivered.
 * @returns `added`, or why nothing was added: the event is malformed, so that a retry cannot help; its notice
 *   was added before; or its account does not exist.
 */
export async function addNotice(
  deps: Deps<'table'>,
  event: unknown,
): Promise<'added' | 'malformed' | 'repeated' | 'no such account'> {
  const parsed = z.safeParse(noticeEvent, event)
  if (!parsed.success) return 'malformed'
  const { id: eventId, detail } = parsed.data
  const { accountId, messageType, message } = detail
  try {
    await deps.table.transact([
      {
        put: { ...keys.event(`bus:${eventId}`), ...ttlAt(deps.clock.nowMs() + BUS_EVENT_KEPT_MS) },
        if: expr`attribute_not_exists(pk)`,
      },
      { put: newNotice(deps, accountId, messageType, message) },
      // Of an erased account nobody is left who could read it.
      { check: keys.profile(accountId), if: expr`attribute_exists(pk) AND #status <> ${'erased'}` },
    ])
    return 'added'
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return error.failed.has(0) ? 'repeated' : 'no such account'
  }
}

/** The item of a notice. Ids are ordered by time, to the millisecond: the newest is last in its partition. */
export function newNotice(deps: Deps, accountId: string, messageType: string, message: string): Item {
  const createdAtMs = deps.clock.nowMs()
  const id = createdAtMs.toString(16).padStart(12, '0') + deps.ids.hex(6)
  return { ...keys.notice(accountId, id), id, messageType, message, createdAtMs }
}

/**
 * One page of an account's notices, newest first: one read.
 * @param page.cursor the id of the previous page's last notice; undefined for the first page.
 * @returns the notices, and in `next` the cursor of the next page, undefined on the last page.
 */
export async function listNotices(
  deps: Deps<'table'>,
  account: Account,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ notices: Notice[]; next: string | undefined }> {
  const { limit, cursor } = page
  const after = cursor === undefined ? undefined : keys.notice(account.id, cursor)
  const newest = { limit, after, newestFirst: true }
  const { items, last } = await readPage(deps, keys.account(account.id), 'NOTICE#', newest, parseNotice)
  return { notices: items, next: last?.id }
}
