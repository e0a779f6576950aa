import * as z from 'zod/mini'
import { parseAudit } from '../audit/entry.ts'
import { textOfBase64url } from '../base64url.ts'
import { parseStoredCard } from '../cards/stored.ts'
import { DomainError } from '../errors.ts'
import { parseEntry } from '../ledger/entry.ts'
import { priceText, unitsText } from '../notifications/amounts.ts'
import { parseNotice } from '../notifications/notices.ts'
import { mailMarkSchema, queuedAtMs } from '../notifications/queued-mail.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { parsePurchase } from '../purchases/purchase.ts'
import { DAY_PREFIX, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/** Something that happened to an account. */
export interface Happening {
  atMs: number
  kind: 'action' | 'ledger' | 'purchase' | 'mail' | 'notice' | 'use' | 'card'
  /** What happened, in a sentence without names or addresses. */
  text: string
  /** Who did it, if that is known: an operator's name, or `owner`, `key`, `anyone`, `system`. */
  by?: string | undefined
  /** Id of what it is about: the purchase, the entry, the notice, the card. */
  id: string
}

/** Items of a kind in the order of their sort keys, and what one of them tells. */
interface Source {
  prefix: string
  /** @param earlier the item of the kind before it, if there is one. */
  tell(item: Item, earlier: Item | undefined): Happening | undefined
}

const idOf = ({ sk }: Item): string => String(sk).slice(String(sk).indexOf('#') + 1)

const SOURCES: readonly Source[] = [
  { prefix: 'AUDIT#', tell: tellAction },
  { prefix: 'LEDGER#', tell: tellEntry },
  { prefix: 'PURCHASE#', tell: tellPurchase },
  { prefix: 'MAIL#', tell: tellMail },
  {
    prefix: 'NOTICE#',
    tell(item) {
      const { id, createdAtMs: atMs, messageType, message } = parseNotice(item)
      return { kind: 'notice', id, atMs, text: `${messageType}: ${message}` }
    },
  },
  { prefix: DAY_PREFIX, tell: tellUse },
]

function tellAction(item: Item): Happening {
  const { id, atMs, action, by, name, reason } = parseAudit(item)
  return { kind: 'action', id, atMs, by: name ?? by, text: reason ? `${action}: ${reason}` : action }
}

function tellEntry(item: Item): Happening {
  const { seq, atMs, kind, units, amountCents, currency = CURRENCY } = parseEntry(item)
  const moved = [
    ...(units === 0 ? [] : [`${units > 0 ? '+' : '-'}${unitsText(Math.abs(units))}`]),
    ...(amountCents === 0
      ? []
      : [`${amountCents > 0 ? '+' : '-'}${priceText(Math.abs(amountCents), currency)}`]),
  ]
  return { kind: 'ledger', id: String(seq), atMs, text: `${kind}: ${moved.join(', ')}` }
}

function tellPurchase(item: Item): Happening {
  const { id, createdAtMs: atMs, kind, bundle, amountCents, currency, state } = parsePurchase(item)
  const price = priceText(amountCents, currency)
  return { kind: 'purchase', id, atMs, text: `${kind} of ${bundle} for ${price} was begun, now ${state}` }
}

/** A mail without a time in its id is of an older version, and too old to be worth a line. */
function tellMail(item: Item): Happening | undefined {
  const id = idOf(item)
  const queuedMs = queuedAtMs(id)
  if (queuedMs === undefined) return undefined
  const ended = z.safeParse(mailMarkSchema, item)
  if (!ended.success)
    return { kind: 'mail', id, atMs: queuedMs, text: `mail ${item.template} was queued and is not sent yet` }
  const { template, event, outcome } = ended.data
  const name = event === undefined ? template : `${template} (${event})`
  const text = outcome === 'sent' ? `mail ${name} was sent` : `mail ${name} was not sent: ${outcome}`
  // The kind is read in the order in which mails were queued, so that is when the line happened.
  return { kind: 'mail', id, atMs: queuedMs, text }
}

/** A snapshot tells the use of the day at whose end it was taken. */
function tellUse(item: Item, earlier: Item | undefined): Happening | undefined {
  const day = Number(idOf(item))
  const units = Number(item.u) - Number(earlier?.u ?? 0)
  if (units <= 0) return undefined
  const atMs = (day + 1) * DAY_MS - 1
  return { kind: 'use', id: String(day), atMs, text: `${unitsText(units)} used on that day` }
}

export const TIMELINE_MOST = 50

/** Cards that are read. Who has had more is known by the notices and the audit log. */
const CARDS = 50

/**
 * What happened to an account, the newest first: actions of the audit log, ledger entries, purchases, mails, notices,
 * days of use and cards in one order, with one Query for each kind.
 * @param cursor `next` of the page before.
 * @returns `next`, the cursor of the next page; undefined on the last page.
 * @throws DomainError `invalid_request` for a cursor that no page has given
 */
export async function readTimeline(
  deps: Deps<'table'>,
  accountId: string,
  cursor?: string,
): Promise<{ happenings: Happening[]; next: string | undefined }> {
  const after = readCursor(cursor)
  const streams = [
    ...(await Promise.all(
      SOURCES.map((source) => readStream(deps, accountId, source, after[source.prefix])),
    )),
    await readCards(deps, accountId, after[CARD]),
  ]
  const happenings: Happening[] = []
  const reached = { ...after }
  // A kind whose lines are used up while it has more of them may have the next line.
  while (
    happenings.length < TIMELINE_MOST &&
    streams.every(({ lines, goesOn }) => lines.length > 0 || !goesOn)
  ) {
    const first = streams
      .filter(({ lines }) => lines.length > 0)
      .sort((a, b) => (b.lines[0]?.atMs ?? 0) - (a.lines[0]?.atMs ?? 0))[0]
    const line = first?.lines.shift()
    if (!first || !line) break
    reached[first.prefix] = line.place
    if (line.happening) happenings.push(line.happening)
  }
  const isLast = streams.every(({ lines, goesOn }) => lines.length === 0 && !goesOn)
  return { happenings, next: isLast ? undefined : textOfReached(reached) }
}

/** The lines of one kind, the newest first. */
interface Stream {
  prefix: string
  /** Whether the account has more of the kind than these. */
  goesOn: boolean
  /** `place` says where a later page resumes. An item that tells nothing has no happening. */
  lines: { atMs: number; place: string; happening: Happening | undefined }[]
}

async function readStream(
  deps: Deps<'table'>,
  accountId: string,
  { prefix, tell }: Source,
  after: string | undefined,
): Promise<Stream> {
  const pk = keys.account(accountId)
  const items = await deps.table.list(pk, prefix, {
    // One more, for what an item tells by the one before it, and for whether others follow.
    limit: TIMELINE_MOST + 1,
    newestFirst: true,
    ...(after !== undefined && { after: { pk, sk: prefix + after } }),
  })
  const lines = items.slice(0, TIMELINE_MOST).map((item, at) => {
    const happening = tell(item, items[at + 1])
    return { atMs: happening?.atMs ?? Number.POSITIVE_INFINITY, place: idOf(item), happening }
  })
  return { prefix, lines, goesOn: items.length > TIMELINE_MOST }
}

const CARD = 'CARD#'

/** Cards are stored by their ids, so all are read and put in the order of their times. */
async function readCards(deps: Deps<'table'>, accountId: string, after: string | undefined): Promise<Stream> {
  const items = await deps.table.list(keys.account(accountId), CARD, { limit: CARDS })
  const lines = items
    .flatMap((item) => {
      const { cardId: id, card } = parseStoredCard(item)
      if (!card) return []
      const text = `card ${card.brand} ending in ${card.last4} was made at Stripe`
      const place = `${msText(card.createdMs)} ${id}`
      return [
        { atMs: card.createdMs, place, happening: { kind: 'card' as const, id, atMs: card.createdMs, text } },
      ]
    })
    .sort((a, b) => (a.place < b.place ? 1 : -1))
  const rest = lines.filter(({ place }) => after === undefined || place < after)
  return { prefix: CARD, lines: rest, goesOn: false }
}

const msText = (atMs: number): string => String(atMs).padStart(14, '0')

const textOfReached = (reached: Record<string, string>): string =>
  Buffer.from(JSON.stringify(reached)).toString('base64url')

const cursorSchema = z.record(z.string(), z.string().check(z.maxLength(200)))

function readCursor(cursor: string | undefined): Record<string, string> {
  if (cursor === undefined) return {}
  const reached = reachedIn(cursor)
  // One spelling only, of the base64url and of the JSON.
  if (reached && textOfReached(reached) === cursor) return reached
  const fields = [{ field: 'cursor', message: 'must be the cursor of a page' }]
  throw new DomainError('invalid_request', { fields })
}

function reachedIn(cursor: string): Record<string, string> | undefined {
  try {
    return z.parse(cursorSchema, JSON.parse(textOfBase64url(cursor) ?? ''))
  } catch {
    return undefined
  }
}
