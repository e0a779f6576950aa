import { describe, expect, test } from 'vitest'
import {
  type CodePurpose,
  checkCode,
  codePurposes,
  codeText,
  isCodeAlive,
  newCode,
  renewCode,
} from '../../core/credentials/codes.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { codeOf, openAccountWorld } from '../machine/account-world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const LIVES: Record<CodePurpose, number> = {
  'confirm-email': DAY_MS,
  'change-email': DAY_MS,
  'reset-password': 10 * MINUTE_MS,
  invitation: 7 * DAY_MS,
  'begin-recovery': 10 * MINUTE_MS,
  'finish-recovery': 10 * MINUTE_MS,
}

async function open() {
  const world = await openAccountWorld()
  const { ports, id, nowMs } = world
  const item = async (lookup: string) => (await ports.table.get(keys.code(lookup))) ?? {}
  return {
    ...world,
    item,
    async make(purpose: CodePurpose = 'reset-password', change: Item = {}) {
      const made = newCode(ports, purpose, id)
      await ports.table.put({ ...made.item, ...change })
      return { lookup: made.lookup, text: codeText(ports, purpose, id, made.lookup) }
    },
    check: (text: string, ...purposes: CodePurpose[]) =>
      checkCode(ports, purposes.length > 0 ? purposes : ['reset-password'], text),
    renew: (lookup: string, onlyValid = false, purpose: CodePurpose = 'reset-password') =>
      renewCode(ports, purpose, lookup, onlyValid),
    isUsable: async (text: string) => {
      const { key, usable } = await checkCode(ports, codePurposes, text)
      return codeOf(ports.table.update(key, expr`SET #x = ${1}`, usable)).then((told) => told === 'done')
    },
    ttlOf: (ms: number) => Math.ceil((nowMs() + ms) / 1000),
  }
}

describe('a mailed code', () => {
  test('is 32 hex digits, of which the table has the first half', async () => {
    const { make, memory } = await open()
    const { lookup, text } = await make()
    expect(text).toMatch(/^[0-9a-f]{32}$/)
    expect(text.slice(0, 16)).toBe(lookup)
    expect(JSON.stringify(memory.items())).not.toContain(text.slice(16))
  })

  test.each(Object.entries(LIVES))(
    'for %s lives as long as it should, to the millisecond',
    async (purpose, ms) => {
      const { make, item, advance, isUsable, ttlOf } = await open()
      const { lookup, text } = await make(purpose as CodePurpose)
      expect((await item(lookup)).ttl).toBe(ttlOf(ms + 2 * HOUR_MS))
      advance(ms - 1)
      expect(await isUsable(text)).toBe(true)
      advance(1)
      expect(await isUsable(text)).toBe(false)
    },
  )

  test('is of its purpose and its account alone', async () => {
    const { make, check, id } = await open()
    const { lookup, text } = await make()
    const checked = await check(text, 'invitation', 'reset-password')
    expect(checked).toMatchObject({
      ...{ purpose: 'reset-password', accountId: id, lookup, usedBy: undefined, isDone: false },
      key: keys.code(lookup),
    })
    expect(await codeOf(check(text, 'invitation'))).toBe('invalid_code')
    expect(await codeOf(check(text, 'begin-recovery', 'finish-recovery'))).toBe('invalid_code')
  })

  test('may be typed with spaces, hyphens and capitals', async () => {
    const { make, check } = await open()
    const { text } = await make()
    expect(await codeOf(check(` ${text.toUpperCase().replace(/(.{8})/g, '$1-')} `))).toBe('done')
  })

  test('that is wrong uses up one of five tries; one that is unknown or for something else uses up none', async () => {
    const { make, check, item, isUsable } = await open()
    const { lookup, text } = await make()
    const wrong = `${text.slice(0, 31)}${text.endsWith('0') ? '1' : '0'}`
    for (const other of ['', 'x', '0'.repeat(32)]) expect(await codeOf(check(other))).toBe('invalid_code')
    expect(await codeOf(check(wrong, 'invitation'))).toBe('invalid_code')
    expect((await item(lookup)).triesLeft).toBe(5)
    for (let left = 4; left >= 0; left--) {
      expect(await codeOf(check(left % 2 === 0 ? wrong : lookup))).toBe('invalid_code')
      expect((await item(lookup)).triesLeft).toBe(left)
    }
    expect(await codeOf(check(wrong))).toBe('invalid_code')
    expect((await item(lookup)).triesLeft).toBe(0)
    expect(await isUsable(text)).toBe(false)
  })

  test('that is longer than a code is wrong', async () => {
    const { make, check } = await open()
    const { text } = await make()
    expect(await codeOf(check(`${text}0`))).toBe('done')
    expect(await codeOf(check(`0${text}`))).toBe('invalid_code')
  })

  test('whose change is made is recognised as long as it lives, and for the hour of its repeats', async () => {
    const { make, check, advance } = await open()
    const done = { done: true, usedBy: 'x' }
    const { text } = await make('reset-password', done)
    expect(await check(text)).toMatchObject({ isDone: true, usedBy: 'x' })
    advance(10 * MINUTE_MS)
    expect((await check(text)).isDone).toBe(false)
    const { nowMs, ...other } = await open()
    const repeated = await other.make('reset-password', { ...done, repeatUntilMs: nowMs() + HOUR_MS })
    other.advance(HOUR_MS - 1)
    expect((await other.check(repeated.text)).isDone).toBe(true)
    other.advance(1)
    expect((await other.check(repeated.text)).isDone).toBe(false)
    const usedUp = await other.make('reset-password', { ...done, triesLeft: 0 })
    expect((await other.check(usedUp.text)).isDone).toBe(false)
    const { keepForRepeats } = await other.check(usedUp.text)
    expect(keepForRepeats.args).toEqual([nowMs() + 70 * MINUTE_MS])
  })
})

describe('a code that is mailed again', () => {
  test('lives as long as a new one', async () => {
    const { make, renew, item, advance, nowMs, ttlOf } = await open()
    const { lookup } = await make()
    advance(9 * MINUTE_MS)
    expect(await renew(lookup, true)).toBe('renewed')
    expect(await item(lookup)).toMatchObject({
      ...{ expiresAtMs: nowMs() + 10 * MINUTE_MS, ttl: ttlOf(130 * MINUTE_MS), triesLeft: 5 },
    })
  })

  test('is another one once it has expired, or is older than its life and an hour', async () => {
    const { make, renew, advance } = await open()
    const { lookup } = await make()
    advance(10 * MINUTE_MS)
    expect(await renew(lookup, true)).toBe('left')
    expect(await renew(lookup)).toBe('renewed')
    for (let minutes = 10; minutes < 55; minutes += 5) {
      advance(5 * MINUTE_MS)
      expect(await renew(lookup, true)).toBe('renewed')
    }
    advance(5 * MINUTE_MS - 1)
    expect(await renew(lookup, true)).toBe('renewed')
    advance(1)
    expect(await renew(lookup, true)).toBe('left')
    expect(await renew(lookup)).toBe('renewed')
    // One that lives for a day is as old as that at most.
    const confirm = await make('confirm-email')
    advance(DAY_MS - 1)
    expect(await renew(confirm.lookup, true, 'confirm-email')).toBe('renewed')
    advance(1)
    expect(await renew(confirm.lookup, true, 'confirm-email')).toBe('left')
  })

  test.each([
    ['used', { usedBy: 'x' }, 'spent'],
    ['done', { done: true }, 'spent'],
    ['used up by guesses', { triesLeft: 0 }, 'spent'],
    ['of another purpose', { purpose: 'invitation' }, 'left'],
  ])('is none that is %s', async (_, change, expected) => {
    const { make, renew, item } = await open()
    const { lookup } = await make('reset-password', change)
    const before = await item(lookup)
    for (const onlyValid of [true, false]) expect(await renew(lookup, onlyValid)).toBe(expected)
    expect(await item(lookup)).toEqual(before)
  })

  test('is none that there is not, and an outage says nothing about it', async () => {
    const { renew, ports, make } = await open()
    expect(await renew('0'.repeat(16))).toBe('spent')
    const { lookup } = await make()
    const table = { ...ports.table, update: () => Promise.reject(new Error('an outage')) }
    await expect(renewCode({ ...ports, table }, 'reset-password', lookup, false)).rejects.toThrow('an outage')
  })
})

describe('a code is worth mailing', () => {
  test.each([
    ['while it is the newest and unused', {}, true],
    ['not once it is used', { usedBy: 'x' }, false],
    ['not once its change is made', { done: true }, false],
    ['not once it is used up by guesses', { triesLeft: 0 }, false],
    ['with one try left', { triesLeft: 1 }, true],
  ])('%s', async (_, change, expected) => {
    const { make, ports, set, account } = await open()
    const { lookup } = await make('reset-password', change)
    await set({ resetCode: lookup })
    expect(await isCodeAlive(ports, await account(), 'reset-password', lookup)).toBe(expected)
  })

  test('only until it expires, and only if the account waits for it', async () => {
    const { make, ports, set, account, advance } = await open()
    const { lookup } = await make()
    const isAlive = async (purpose: CodePurpose = 'reset-password', code = lookup) =>
      isCodeAlive(ports, await account(), purpose, code)
    expect(await isAlive()).toBe(false)
    await set({ resetCode: lookup })
    expect(await isAlive('confirm-email')).toBe(false)
    advance(10 * MINUTE_MS - 1)
    expect(await isAlive()).toBe(true)
    advance(1)
    expect(await isAlive()).toBe(false)
    await set({ resetCode: '0'.repeat(16) })
    expect(await isAlive('reset-password', '0'.repeat(16))).toBe(false)
  })

  test.each([
    ['confirm-email', 'confirmCode'],
    ['change-email', 'changeCode'],
    ['invitation', 'resetCode'],
    ['begin-recovery', 'recoveryCode'],
    ['finish-recovery', 'recoveryCode'],
  ] as const)('for %s if it is the account’s %s', async (purpose, attribute) => {
    const { make, ports, set, account } = await open()
    const { lookup } = await make(purpose)
    await set({ [attribute]: lookup })
    expect(await isCodeAlive(ports, await account(), purpose, lookup)).toBe(true)
  })
})
