import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { type Consumer, counterOf, newConsumer, uuidv7 } from '../support/quota.ts'
import type { Asked, Work } from './consume-worker.ts'

/**
 * Two processes with AWS's client share one database; each keeps 16 requests in flight. Each sends every
 * second one of 3,000 requests for one unit, while only 1,000 units are left. One request in ten repeats an
 * earlier one of either process, at most 5,000 requests old. Ids are UUIDv7, a millisecond apart, in the
 * order in which they are first sent. Every answer is recorded with its time.
 */
const app = await startApp()

const REQUESTS = 3000
const LEFT = 1000
const LANES = 16
const LATEST = 5000

/** The ids in the order in which they are sent; `random` is seeded, so they are the same in each run. */
function sequence(count: number): string[] {
  let state = 7
  const random = (limit: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % limit
  }
  const ids: string[] = []
  for (let n = 0; n < count; n++) {
    const again = n > 0 && random(10) === 0 ? ids[n - 1 - random(Math.min(n, LATEST))] : undefined
    ids.push(again ?? uuidv7(Date.now() + n))
  }
  return ids
}

interface Worker {
  asked: Asked[]
  process: ChildProcess
  done: Promise<void>
}

function startWorker({ key }: Consumer, requestIds: string[], onAnswer?: (worker: Worker) => void): Worker {
  const file = join(import.meta.dirname, 'consume-worker.ts')
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, ...app.stack.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const worker: Worker = { asked: [], process: child, done: Promise.resolve() }
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    try {
      worker.asked.push(JSON.parse(line))
    } catch {
      // The kill cut this line off.
    }
    onAnswer?.(worker)
  })
  worker.done = Promise.all([
    new Promise<void>((resolve) => lines.once('close', resolve)),
    new Promise<void>((resolve) => child.once('close', () => resolve())),
  ]).then(() => {})
  const work: Work = { key, requestIds, lanes: LANES }
  child.stdin.end(JSON.stringify(work))
  return worker
}

/** Asserts that an id that was answered 200 is never refused later. @returns the ids that were spent. */
function expectLasting(asked: readonly Asked[]): Set<string> {
  const spentAtMs = new Map<string, number>()
  for (const { requestId, told, toMs } of asked)
    if (told === '200') spentAtMs.set(requestId, Math.min(toMs, spentAtMs.get(requestId) ?? toMs))
  const taken = asked.filter(({ requestId, told, fromMs }) => {
    const since = spentAtMs.get(requestId)
    return told !== '200' && since !== undefined && since < fromMs
  })
  expect(taken).toEqual([])
  // A request that loses every race is answered `temporarily_unavailable` and may be retried.
  const answers = ['200', 'quota_exhausted', 'temporarily_unavailable']
  expect(asked.filter(({ told }) => !answers.includes(told))).toEqual([])
  expect(asked.filter(({ told }) => told === 'temporarily_unavailable').length).toBeLessThan(
    asked.length / 100,
  )
  return new Set(spentAtMs.keys())
}

async function expectExhausted(person: Consumer): Promise<void> {
  const { l = 0, f = 0, u, c0 } = (await counterOf(app, person)) as Record<string, number>
  expect({ left: l + f, used: u, byKey: c0 }).toEqual({ left: 0, used: LEFT, byKey: LEFT })
}

/** Repeats every request: exactly the spent ids are answered 200. */
async function askAgain(person: Consumer, ids: string[], earlier: readonly Asked[]): Promise<void> {
  const again = startWorker(person, [...new Set(ids)])
  await again.done
  const spent = expectLasting([...earlier, ...again.asked])
  expect(spent.size).toBe(LEFT)
  await expectExhausted(person)
}

const halves = (ids: string[]) => [0, 1].map((half) => ids.filter((_, at) => at % 2 === half))

test('two processes spend exactly the units there are, no id twice, and never refuse an id after a 200', async () => {
  const person = await newConsumer(app, LEFT, 10_000)
  const ids = sequence(REQUESTS)
  const workers = halves(ids).map((half) => startWorker(person, half))
  await Promise.all(workers.map(({ done }) => done))
  const asked = workers.flatMap((worker) => worker.asked)
  expect(asked).toHaveLength(REQUESTS)
  expectLasting(asked)
  await expectExhausted(person)
  await askAgain(person, ids, asked)
}, 180_000)

test('the same holds if one process is killed half-way and another repeats its requests', async () => {
  const person = await newConsumer(app, LEFT, 10_000)
  const ids = sequence(REQUESTS)
  const [first = [], second = []] = halves(ids)
  const survivor = startWorker(person, first)
  // The kill comes while units are left and 16 requests of the process are in flight.
  const victim = startWorker(person, second, (worker) => {
    if (worker.asked.length === LEFT / 4) worker.process.kill('SIGKILL')
  })
  await victim.done
  expect(victim.process.signalCode).toBe('SIGKILL')
  const successor = startWorker(person, second)
  await Promise.all([survivor.done, successor.done])
  const asked = [...survivor.asked, ...victim.asked, ...successor.asked]
  expectLasting(asked)
  await expectExhausted(person)
  await askAgain(person, ids, asked)
}, 180_000)
