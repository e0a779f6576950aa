import * as z from 'zod/mini'
import { accountIdIn } from '../table/keys.ts'
import type { Item } from '../table/table.ts'

/** An event as `announce` stores it, and the publisher numbers it. */
const storedEventSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  id: z.string(),
  /** A text, because events outlive the types that the code knows. */
  type: z.string(),
  version: z.number(),
  atMs: z.number(),
  data: z.record(z.string(), z.unknown()),
  /** Set once the event is published. */
  sequence: z.optional(z.number()),
  publishedAtMs: z.optional(z.number()),
  due: z.optional(z.string()),
})

export type StoredEvent = z.infer<typeof storedEventSchema>

/** Reads a stored event. @throws Error if the item is not an event. */
export const parseEvent = (item: Item): StoredEvent => z.parse(storedEventSchema, item)

/** Stands for the account of an event that is about none. No account has this id. */
export const NO_ACCOUNT = '0'.repeat(24)

/** An event as other systems receive it. */
export interface Envelope {
  /** The same in every repeat of the event. */
  id: string
  type: string
  version: number
  /** Numbers the events of an account, from 1 on without a gap. */
  sequence: number
  accountId: string
  /** When it happened, epoch ms. */
  atMs: number
  data: Record<string, unknown>
}

/** The event as other systems receive it under this number. */
export const envelopeOf = (event: StoredEvent, sequence: number): Envelope => {
  const { id, type, version, atMs, data } = event
  return { id, type, version, sequence, accountId: accountIdIn(event), atMs, data }
}
