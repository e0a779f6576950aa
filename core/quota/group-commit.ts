import { DomainError } from '../errors.ts'
import type { Table } from '../table/table.ts'
import { answerEach } from './batch.ts'
import { type ConsumeRequest, spendOrCheck, type Use } from './consume.ts'
import { readCounter } from './counter.ts'
import { forKey, type KeyCaller, type KeyOrAccount, type QuotaDeps, type Spender } from './key-caller.ts'

/*
 * Requests of one process that spend with the same key at the same time share their writes. The first goes at once;
 * those that come while it is under way wait for it, and are spent together by the next write, as a batch is. So a crowd
 * does not fight for the counter: without this, ids grow late while their writes are refused and tried again, and each
 * try costs a write unit. On AWS a container has one request at a time, so this serves processes that have many.
 *
 * Every request keeps its id and gets its own answer. One that a shared write does not serve is decided on its own.
 */

/** Most requests that are spent together, as in a batch. */
const TOGETHER_MOST = 100

/** A request that waits for its turn. */
interface Waiting {
  deps: QuotaDeps
  caller: KeyCaller
  request: ConsumeRequest
  resolve(use: Use | Promise<Use>): void
  reject(error: unknown): void
}

/** Requests that wait, by who spends. There is an entry only while a request is under way. */
const lanes = new WeakMap<Table, Map<string, Waiting[]>>()

/**
 * Spends units as `consumeUnits` does, together with other requests of the same key in this process. Without others it
 * is the same.
 * @throws DomainError as `consumeUnits`
 */
export const consumeTogether = (
  deps: QuotaDeps,
  key: KeyOrAccount,
  request: ConsumeRequest,
): Promise<Use & Spender> => forKey(deps, key, (caller) => spendInTurn(deps, caller, request))

async function spendInTurn(deps: QuotaDeps, caller: KeyCaller, request: ConsumeRequest): Promise<Use> {
  // A check writes nothing.
  if (request.units === 0) return spendOrCheck(deps, caller, request)
  const ofTable = lanes.get(deps.table) ?? new Map<string, Waiting[]>()
  lanes.set(deps.table, ofTable)
  const name = laneOf(caller, request)
  const others = ofTable.get(name)
  if (others) return new Promise((resolve, reject) => others.push({ deps, caller, request, resolve, reject }))
  const waiting: Waiting[] = []
  ofTable.set(name, waiting)
  try {
    return await spendOrCheck(deps, caller, request)
  } finally {
    // The answer does not wait for the others.
    void serve(waiting, () => ofTable.delete(name))
  }
}

/**
 * Whatever is known of the caller, so that no request is spent by what was checked for another one. Requests with and
 * without an id do not share a write: after a lost reply, the former are tried again and the latter must not be.
 */
const laneOf = (caller: KeyCaller, { requestId }: ConsumeRequest): string =>
  JSON.stringify([caller, requestId === undefined])

/** Serves those who wait, and those who come meanwhile. It never fails: each request gets its answer or its error. */
async function serve(waiting: Waiting[], end: () => void): Promise<void> {
  while (waiting.length > 0) {
    const group = waiting.splice(0, TOGETHER_MOST)
    const [first] = group
    try {
      if (group.length > 1) await serveTogether(group)
      else if (first) await serveAlone(first)
    } catch (error) {
      for (const each of group) each.reject(error)
    }
  }
  // At once, so that nobody joins a queue that is not served any more.
  end()
}

async function serveAlone({ deps, caller, request, resolve, reject }: Waiting): Promise<void> {
  await spendOrCheck(deps, caller, request).then(resolve, reject)
}

/** Serves a group by the writes of a batch. A request that the batch refuses is then decided as if it had come alone. */
async function serveTogether(group: readonly Waiting[]): Promise<void> {
  const [{ deps, caller } = group[0] as Waiting] = group
  const { answers, rate, failure } = await answerEach(
    deps,
    caller,
    group.map(({ request }) => request),
  )
  const refused: Waiting[] = []
  group.forEach((each, at) => {
    const answer = answers[at]
    if (!answer) each.reject(failure ?? new DomainError('temporarily_unavailable'))
    else if (answer.outcome !== 'spent') refused.push(each)
    else {
      const { outcome: _, ...use } = answer
      each.resolve({ ...use, ...(rate && { rate }) })
    }
  })
  await refuse(refused)
}

/**
 * Refuses requests, or serves those for which there are units again. The first is the one that may note a refusal of a
 * kind that the batch has not noted, so that the others find both kinds noted and write nothing.
 */
async function refuse(refused: Waiting[]): Promise<void> {
  const [first, ...others] = refused.toSorted((a, b) => b.request.units - a.request.units)
  if (first) await refuseAll([first])
  if (others.length > 0) await refuseAll(others)
}

async function refuseAll(group: readonly Waiting[]): Promise<void> {
  const [{ deps, caller } = group[0] as Waiting] = group
  const counter = readCounter(deps, caller.accountId)
  const decide = async (each: Waiting) =>
    spendOrCheck(each.deps, each.caller, each.request, await counter).then(each.resolve, each.reject)
  await Promise.all(group.map((each) => decide(each).catch(each.reject)))
}
