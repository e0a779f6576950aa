import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { beforeEach, expect, test } from 'vitest'
import { openIn } from '../../core/quota/reservation.ts'
import { startApp } from '../support/app.ts'
import { type Consumer, counterOf, newConsumer } from '../support/quota.ts'
import { unitsOf } from '../support/reservations.ts'
import type { LeaseWork } from './lease-worker.ts'

/**
 * Four processes with the meter in mode `leased` send 3,000 spends for 1,000 units. Two of them are killed while they
 * hold leases that they have begun to spend, and the wall clocks of all are set forward and back by hours.
 */
const app = await startApp()
beforeEach(app.startAfresh)

const SPENDS = 3000
const LEFT = 1000
const PROCESSES = 4
const HOUR_MS = 3_600_000
const JUMPS = [[2 * HOUR_MS], [-2 * HOUR_MS], [HOUR_MS, -HOUR_MS], [-30_000, 90_000]]

interface Worker {
  process: ChildProcess
  served: number
  refused: Map<string, number>
  /** What it printed last; undefined if it was killed. */
  end: string | undefined
  done: Promise<void>
}

function startWorker(work: LeaseWork, onServed?: (worker: Worker) => void): Worker {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'lease-worker.ts')], {
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const worker: Worker = {
    process: child,
    served: 0,
    refused: new Map(),
    end: undefined,
    done: Promise.resolve(),
  }
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    if (line.startsWith('end')) worker.end = line
    else if (line === '1') {
      worker.served += 1
      onServed?.(worker)
    } else worker.refused.set(line, (worker.refused.get(line) ?? 0) + 1)
  })
  worker.done = Promise.all([
    new Promise<void>((resolve) => lines.once('close', resolve)),
    new Promise<void>((resolve) => child.once('close', () => resolve())),
  ]).then(() => {})
  child.stdin.end(JSON.stringify(work))
  return worker
}

const servedBy = (workers: readonly Worker[]) => workers.reduce((sum, { served }) => sum + served, 0)

/** Plays the four processes, then the expiry of what the killed ones held, then a fifth that uses what is left. */
async function play(person: Consumer, unreported: LeaseWork['unreported']) {
  const work = (index: number): LeaseWork => ({
    url: app.url,
    key: person.key,
    spends: SPENDS / PROCESSES,
    lanes: 4,
    unreported,
    startMs: Date.now(),
    jumpsMs: JUMPS[index % JUMPS.length] ?? [],
  })
  const workers = Array.from({ length: PROCESSES }, (_, index) =>
    startWorker(work(index), (worker) => {
      if (index < 2 && worker.served === 60 + 20 * index) worker.process.kill('SIGKILL')
    }),
  )
  await Promise.all(workers.map(({ done }) => done))
  const held = openIn({ item: await counterOf(app, person) }).reduce((sum, { units }) => sum + units, 0)
  const before = await unitsOf(app, person.key)
  app.advance(61_000)
  await app.job('expire-reservations')
  const successor = startWorker(work(3))
  await successor.done
  const after = await unitsOf(app, person.key)
  return { workers, successor, held, before, after, served: servedBy([...workers, successor]) }
}

function expectAsPlanned({ workers, successor, held, before }: Awaited<ReturnType<typeof play>>): void {
  expect(workers.map(({ process }) => process.signalCode)).toEqual(['SIGKILL', 'SIGKILL', null, null])
  expect([...workers.slice(2), successor].map(({ end }) => end)).toEqual(['end ', 'end ', 'end '])
  const refusals = [...workers, successor].flatMap(({ refused }) => [...refused.keys()])
  // An exact request that is under way when the clock is set forward is given up.
  expect(refusals.filter((code) => code !== 'quota_exhausted' && code !== 'unavailable')).toEqual([])
  // Nothing but the leases of the killed processes is held, and they had begun to spend them.
  const [, , reserved] = before
  expect([held, held > 0, held <= 2 * 200]).toEqual([reserved, true, true])
}

test('return: no more is served than there is and what killed processes had not reported, and every unit is used or left', async () => {
  const person = await newConsumer(app, LEFT)
  const played = await play(person, 'return')
  expectAsPlanned(played)
  const { before, after, held, served } = played
  const [left, used, reserved] = after
  expect([left + used, reserved]).toEqual([LEFT, 0])
  // What returned was spent again, so the customer could use every unit.
  expect([left, used]).toEqual([0, LEFT])
  expect(before[0] + before[1] + before[2]).toBe(LEFT)
  const unreported = served - used
  expect([unreported, unreported > 0, unreported <= held]).toEqual([unreported, true, true])
}, 180_000)

test('charge: never more is served than there is, and every unit is used', async () => {
  const person = await newConsumer(app, LEFT)
  const played = await play(person, 'charge')
  expectAsPlanned(played)
  const { before, after, held, served } = played
  expect(after).toEqual([0, LEFT, 0])
  expect([served, served <= LEFT, served >= LEFT - held]).toEqual([served, true, true])
  expect(before[0] + before[1] + before[2]).toBe(LEFT)
}, 180_000)
