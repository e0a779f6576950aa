import type { Clock, JournalEntry, Ledger, SpenderTools, WireAnswer } from './spender.ts'
import { BATCH_MOST, CREDENTIAL_REFUSED, sendSpends } from './wire.ts'

/** Where entries are kept. One that outlives the process makes the units of an outage survive a crash. */
export interface JournalStore {
  /** Keeps an entry, in place of an earlier one of the same kind and id. The request passes once this has settled. */
  add(entry: JournalEntry): void | Promise<void>
  remove(entry: JournalEntry): void | Promise<void>
  /** The entries of earlier processes, oldest first. */
  list(): JournalEntry[] | Promise<JournalEntry[]>
}

export const memoryStore = (): JournalStore => ({ add() {}, remove() {}, list: () => [] })

export interface JournalOptions extends Pick<SpenderTools, 'call' | 'byService' | 'timeoutMs' | 'measure'> {
  store: JournalStore
  clock: Clock
  /** Told of each entry that Bursar has refused for good: the operator bears its units. */
  onUncollected: (entry: JournalEntry, code: string) => void
}

export interface Journal extends Ledger {
  /** Tells Bursar all entries now. Never rejects; entries without an answer stay. */
  replay(): Promise<void>
  /** The last replay. */
  close(): Promise<void>
}

const REPLAY_EVERY_MS = 5_000
/** Least time between two replays that answers to other requests start. */
const REPLAY_PAUSE_MS = 1_000
/** Bursar knows an id for at least three days. After that, telling it again could spend again. */
const TOO_OLD_MS = 2 * 24 * 60 * 60 * 1000

/** Groups that are told at once. */
const MOST_AT_ONCE = 8

type Ended = 'done' | 'kept' | { uncollected: string } | { instead: JournalEntry }

/** Keeps what Bursar has not confirmed, and tells it under the same ids until it answers. */
export function openJournal(options: JournalOptions): Journal {
  const { clock, measure } = options
  const store = timedStore(options)
  const open = openEntries()
  let [isLoaded, isClosed, lastMs] = [false, false, Number.NEGATIVE_INFINITY]
  let cancelTimer: (() => void) | undefined
  let replaying: Promise<void> | undefined

  function replayLater(): void {
    if (isClosed) return
    cancelTimer ??= clock.after(REPLAY_EVERY_MS, () => {
      cancelTimer = undefined
      void replay()
    })
  }

  function note(entry: JournalEntry): void {
    open.add(entry)
    // After `close` there is no later: work that has ended since then is told at once.
    if (isClosed) void replay()
    else replayLater()
  }

  async function load(): Promise<void> {
    try {
      for (const entry of await store.list()) if (!open.has(entry)) note(entry)
      isLoaded = true
    } catch {
      // Tried again with the next replay.
      replayLater()
    }
  }

  /** @returns whether another entry has taken the place of this one */
  async function end(entry: JournalEntry, ended: Ended): Promise<boolean> {
    if (ended === 'kept') return false
    const isReplaced = typeof ended === 'object' && 'instead' in ended
    if (isReplaced) {
      await store.add(ended.instead).inTime
      note(ended.instead)
    } else if (typeof ended === 'object') {
      measure('uncollected', entry.units, { code: ended.uncollected })
      options.onUncollected(entry, ended.uncollected)
    }
    open.remove(entry)
    await store.remove(entry)
    return isReplaced
  }

  /**
   * Another round follows one that has put spends in the place of settles. While Bursar does not answer, a round ends
   * early, since `close` waits for it, and the next one begins with other entries.
   */
  async function replayAll(): Promise<void> {
    if (!isLoaded) await load()
    let isAgain = false
    const groups = groupsOf(options, open.all())
    while (groups.length > 0) {
      const told = await tellGroups(options, groups.splice(0, MOST_AT_ONCE))
      for (const { entry, how } of told) if (await end(entry, how)) isAgain = true
      if (told.every(({ how }) => how === 'kept')) return open.postpone(told)
    }
    if (isAgain) await replayAll()
  }

  function ended(): void {
    replaying = undefined
    lastMs = clock.nowMs()
    if (open.size() > 0) replayLater()
  }

  // A store that fails now has the entry still; it is told again, which has no further effect.
  function replay(): Promise<void> {
    replaying ??= replayAll().then(ended, ended)
    return replaying
  }

  return {
    ready: load(),
    async add(entry) {
      const isKnown = open.has(entry)
      note(entry)
      const { inTime, added } = store.add(entry)
      try {
        await inTime
      } catch (error) {
        if (isKnown) throw error
        open.remove(entry)
        // The request is refused, so an entry that is kept late must not charge for it.
        void added.then(() => store.remove(entry)).catch(() => {})
        throw error
      }
    },
    openUnits: open.units,
    answered() {
      const isResting = clock.nowMs() - lastMs < REPLAY_PAUSE_MS
      if (open.size() > 0 && !isResting && !isClosed) void replay()
    },
    replay,
    async close() {
      isClosed = true
      cancelTimer?.()
      // A replay under way may have begun before the last entry was added.
      await replaying
      if (open.size() > 0) await replay()
    },
  }
}

/** The operator's store. One that does not answer in time has failed, since customers and `close` wait for it. */
function timedStore({ store, clock, timeoutMs }: JournalOptions) {
  function inTime<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error("The journal's store does not answer."))
      const cancel = clock.after(timeoutMs, late, true)
      work.then(resolve, reject).finally(cancel)
    })
  }
  return {
    /** `added` settles when the store answers, however late. */
    add(entry: JournalEntry) {
      const added = (async () => store.add(entry))()
      return { added, inTime: inTime(added) }
    },
    remove: (entry: JournalEntry) => inTime((async () => store.remove(entry))()),
    list: () => inTime((async () => store.list())()),
  }
}

/** The entries without an answer, oldest first, and the units of the spends among them. */
function openEntries() {
  const entries = new Map<string, JournalEntry>()
  let units = 0
  return {
    add(entry: JournalEntry): void {
      if (entries.has(nameOf(entry))) return
      entries.set(nameOf(entry), entry)
      if (entry.kind === 'spend') units += entry.units
    },
    remove(entry: JournalEntry): void {
      if (entries.delete(nameOf(entry)) && entry.kind === 'spend') units -= entry.units
    },
    /** Puts entries behind the others. */
    postpone(some: readonly { entry: JournalEntry }[]): void {
      for (const { entry } of some) if (entries.delete(nameOf(entry))) entries.set(nameOf(entry), entry)
    },
    has: (entry: JournalEntry): boolean => entries.has(nameOf(entry)),
    all: (): JournalEntry[] => [...entries.values()],
    size: (): number => entries.size,
    units: (): number => units,
  }
}

const nameOf = ({ kind, id }: JournalEntry): string => `${kind} ${id}`

/**
 * Spends of one customer share a batch, and with a service credential those of all do. A settle or a return goes
 * alone.
 */
function groupsOf({ byService }: JournalOptions, entries: readonly JournalEntry[]): JournalEntry[][] {
  const groups: JournalEntry[][] = []
  const filling = new Map<string, JournalEntry[]>()
  for (const entry of entries) {
    const name = byService ? '' : entry.key
    const group = filling.get(name)
    if (entry.kind !== 'spend') groups.push([entry])
    else if (group !== undefined && group.length < BATCH_MOST) group.push(entry)
    else {
      filling.set(name, [entry])
      groups.push(filling.get(name) ?? [])
    }
  }
  return groups
}

async function tellGroups(options: JournalOptions, groups: readonly JournalEntry[][]) {
  const told = groups.map(async (group) => {
    const ended = await tellGroup(options, group)
    return group.map((entry, at) => ({ entry, how: ended[at] ?? ('kept' as const) }))
  })
  return (await Promise.all(told)).flat()
}

async function tellGroup(options: JournalOptions, group: readonly JournalEntry[]): Promise<Ended[]> {
  const { clock, timeoutMs } = options
  const deadlineMs = clock.nowMs() + timeoutMs
  const [first] = group
  if (first === undefined) return []
  if (first.kind !== 'spend') return [await tellSettle(options, first, deadlineMs)]
  const fresh = group.filter((entry) => !isTooOld(entry, clock))
  const named = fresh.map(({ id, key, units, tag, ip }) => ({ id, request: { key, units, tag, ip } }))
  const decisions = await sendSpends(options, named, { deadlineMs })
  return group.map((entry) => {
    if (isTooOld(entry, clock)) return { uncollected: 'too_old' }
    const decision = decisions[fresh.indexOf(entry)]
    if (decision?.allowed) return 'done'
    // A rate that is used up frees itself, and a credential that does not work is the operator's to repair.
    if (!decision || decision.status === 429 || decision.code === CREDENTIAL_REFUSED) return 'kept'
    return { uncollected: decision.code }
  })
}

const isTooOld = ({ atMs }: JournalEntry, clock: Clock): boolean => clock.nowMs() - atMs > TOO_OLD_MS

async function tellSettle(options: JournalOptions, entry: JournalEntry, deadlineMs: number): Promise<Ended> {
  if (isTooOld(entry, options.clock)) return { uncollected: 'too_old' }
  const answer = await (entry.kind === 'return' ? sendReturn : sendSettle)(options, entry, deadlineMs)
  if (answer === undefined || answer.status === 429) return 'kept'
  if (answer.status === 200) return 'done'
  // That is the operator's to repair.
  if (answer.code === CREDENTIAL_REFUSED) return 'kept'
  if (entry.kind === 'settle' && hasEnded(answer))
    return entry.units === 0 ? 'done' : { instead: { ...entry, kind: 'spend' } }
  return { uncollected: answer.code ?? 'refused' }
}

/** The reservation has expired, and its units are the customer's again: what was used has to be spent. */
export const hasEnded = ({ code }: WireAnswer): boolean =>
  code === 'reservation_ended' || code === 'not_found'

export const sendSettle = (
  { call }: Pick<SpenderTools, 'call'>,
  { id, key, units, tag, ip, reservationId = '' }: JournalEntry,
  deadlineMs: number,
): Promise<WireAnswer | undefined> =>
  call({
    path: `/v1/usage/reservations/${encodeURIComponent(reservationId)}/settle`,
    key,
    ip,
    body: { units, requestId: id, ...(tag !== undefined && { tag }) },
    deadlineMs,
  })

/** Reports the last use of a lease. Bursar takes it after the expiry too, once. */
const sendReturn = (
  { call }: Pick<SpenderTools, 'call'>,
  { id, key, use = [], leaseId = '' }: JournalEntry,
  deadlineMs: number,
): Promise<WireAnswer | undefined> =>
  call({
    path: `/v1/usage/leases/${encodeURIComponent(leaseId)}/return`,
    key,
    body: { use, requestId: id },
    deadlineMs,
  })
