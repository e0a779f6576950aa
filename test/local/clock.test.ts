import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { installClock, startClock } from './clock.ts'

const HOUR_MS = 3_600_000
/** The longest time that may pass between two readings of the real time. */
const SOON_MS = 5_000

const folder = mkdtempSync(join(tmpdir(), 'bursar-clock-'))
afterAll(() => rmSync(folder, { recursive: true }))

const RealDate = Date
afterEach(() => {
  globalThis.Date = RealDate
})

/** How far a reading is ahead of the real time. */
const ahead = (ms: number) => ms - RealDate.now()

const expectAhead = (ms: number, byMs: number) => {
  expect(ahead(ms)).toBeLessThanOrEqual(byMs)
  expect(ahead(ms)).toBeGreaterThan(byMs - SOON_MS)
}

describe('the clock', () => {
  test('shows real time in whole milliseconds until it is moved, then runs on from the new time', () => {
    const clock = startClock()
    expectAhead(clock.nowMs(), 0)
    expect(Number.isInteger(clock.nowMs())).toBe(true)
    clock.advance(HOUR_MS)
    expectAhead(clock.nowMs(), HOUR_MS)
    clock.advance(HOUR_MS)
    expectAhead(clock.nowMs(), 2 * HOUR_MS)
    clock.advance(-3 * HOUR_MS)
    expectAhead(clock.nowMs(), -HOUR_MS)
  })

  test('a restart does not turn time back', () => {
    const file = join(folder, 'clock.json')
    startClock(file).advance(HOUR_MS)
    expectAhead(startClock(file).nowMs(), HOUR_MS)
  })

  test('without a file nothing is remembered', () => {
    startClock().advance(HOUR_MS)
    expectAhead(startClock().nowMs(), 0)
  })
})

describe('Date with the clock installed', () => {
  test('gives the clock’s time in each of its forms', () => {
    const clock = startClock()
    installClock(clock.shared)
    clock.advance(HOUR_MS)
    expectAhead(Date.now(), HOUR_MS)
    expectAhead(RealDate.parse(new Date().toISOString()), HOUR_MS)
    expectAhead(RealDate.parse(Date()), HOUR_MS)
    clock.advance(HOUR_MS)
    expectAhead(Date.now(), 2 * HOUR_MS)
  })

  test('a date made from a given time keeps that time', () => {
    const clock = startClock()
    clock.advance(HOUR_MS)
    installClock(clock.shared)
    expect(new Date(0).getTime()).toBe(0)
    expect(new Date('2026-11-21T12:00:00Z').toISOString()).toBe('2026-11-21T12:00:00.000Z')
    expect(new Date(2026, 10, 21).getTime()).toBe(new RealDate(2026, 10, 21).getTime())
    expect(Date.UTC(2026, 10, 21)).toBe(RealDate.UTC(2026, 10, 21))
    expect(Date.parse('2026-11-21T12:00:00Z')).toBe(RealDate.parse('2026-11-21T12:00:00Z'))
  })

  test('dates made before and after the installation are all instances of Date', () => {
    const before = new Date()
    installClock(startClock().shared)
    expect(before instanceof Date).toBe(true)
    expect(new Date() instanceof Date).toBe(true)
    expect(new Date() instanceof RealDate).toBe(true)
    expect(new (class Later extends Date {})().getTime()).toBeGreaterThan(0)
  })

  test('another thread follows without a message', async () => {
    const clock = startClock()
    const worker = new Worker(
      `import { parentPort, workerData } from 'node:worker_threads'
      const { installClock } = await import(workerData.file)
      installClock(workerData.shared)
      parentPort.on('message', () => parentPort.postMessage(Date.now()))`,
      { eval: true, workerData: { file: join(import.meta.dirname, 'clock.ts'), shared: clock.shared } },
    )
    const ask = () =>
      new Promise<number>((resolve) => {
        worker.once('message', resolve)
        worker.postMessage('now')
      })
    expectAhead(await ask(), 0)
    clock.advance(HOUR_MS)
    expectAhead(await ask(), HOUR_MS)
    await worker.terminate()
  })
})
