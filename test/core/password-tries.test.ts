import { describe, expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'
import {
  countTry,
  countWrongPassword,
  countWrongPasswordOf,
  forgetWrongPasswords,
  lockedAtVault,
  readName,
  requireUnlocked,
} from '../../core/credentials/password-tries.ts'
import type { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { keyringOf } from '../support/keyrings.ts'

const MINUTE_MS = 60_000
const GUARD = keys.emailGuard('ada@example.com')

function open() {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const clock = { nowMs: () => nowMs, wait: () => new Promise<void>((resolve) => setImmediate(resolve)) }
  const ports = { table: memoryTable(), clock, ids: randomIds(clock), keyring: keyringOf('5'.repeat(64)) }
  const from = (ip = '192.0.2.1') => ({ ...ports, origin: { ip } }) as unknown as Ports
  const read = async (deps = from()) => (await readName(deps, GUARD)).tries
  return {
    from,
    read,
    advance: (ms: number) => {
      nowMs += ms
    },
    async type(count: number, deps = from()) {
      for (let n = 0; n < count; n++) await countWrongPassword(deps, GUARD, await read(deps))
    },
    /** Seconds for which the name is locked; 0 if it is not. */
    async lockedFor(deps = from()): Promise<number> {
      try {
        requireUnlocked(deps, await read(deps))
        return 0
      } catch (error) {
        expect(error).toMatchObject({ code: 'password_locked' })
        return (error as DomainError).retryAfterSeconds ?? 0
      }
    },
  }
}

describe('wrong passwords for a name', () => {
  test('lock its network after the fifth for a second, then for twice as long each time, up to 15 minutes', async () => {
    const { type, lockedFor } = open()
    await type(4)
    const locks: number[] = [await lockedFor()]
    for (let n = 5; n <= 16; n++) {
      await type(1)
      locks.push(await lockedFor())
    }
    expect(locks).toEqual([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900])
  })

  test('lock until the time is over, to the millisecond', async () => {
    const { type, lockedFor, advance } = open()
    await type(6)
    advance(1999)
    expect(await lockedFor()).toBe(1)
    advance(1)
    expect(await lockedFor()).toBe(0)
  })

  test('lock nobody who comes from another network', async () => {
    const { type, lockedFor, from } = open()
    await type(9)
    expect(await lockedFor(from('203.0.113.1'))).toBe(0)
    await type(5, from('203.0.113.1'))
    expect([await lockedFor(from('203.0.113.1')), await lockedFor()]).toEqual([1, 16])
  })

  test('of the 41st network and of all later ones share a count', async () => {
    const { type, lockedFor, from, read } = open()
    const network = (n: number) => from(`10.${n}.0.1`)
    for (let n = 0; n < 40; n++) await type(1, network(n))
    const own = new Set(await Promise.all([0, 39].map(async (n) => (await read(network(n))).network)))
    expect([own.size, own.has('others')]).toEqual([2, false])
    // Of 64 bits, because an item has up to 40 of them, each twice.
    for (const name of own) expect(name).toMatch(/^[\w-]{11}$/)
    await type(3, network(40))
    await type(2, network(41))
    expect(await lockedFor(network(99))).toBe(1)
    expect(await lockedFor(network(0))).toBe(0)
    expect((await read()).all.tries).toBe(45)
  })

  test('begin again after 15 minutes without one, and not a millisecond sooner', async () => {
    const { type, read, advance } = open()
    await type(4)
    advance(15 * MINUTE_MS - 1)
    expect(await read()).toMatchObject({ tries: 4, all: { tries: 4 } })
    advance(1)
    expect(await read()).toMatchObject({ tries: 0, all: { tries: 0 } })
    await type(1)
    expect(await read()).toMatchObject({ tries: 1, all: { tries: 1 } })
  })

  test('that come at once after such a pause all count', async () => {
    const { type, read, advance, from } = open()
    await type(3)
    advance(20 * MINUTE_MS)
    const before = await read()
    await Promise.all(Array.from({ length: 4 }, () => countWrongPassword(from(), GUARD, before)))
    expect(await read()).toMatchObject({ tries: 4, all: { tries: 4 } })
  })

  test('are forgotten after the right one; without any there is nothing to do', async () => {
    const { type, read, from } = open()
    await type(6)
    await forgetWrongPasswords(from(), GUARD, await read())
    expect(await read()).toMatchObject({ tries: 0, triedAtMs: 0, all: { tries: 0, triedAtMs: 0 } })
    const removing = { ...from(), table: { remove: () => Promise.reject(new Error('removed')) } }
    await forgetWrongPasswords(removing as unknown as Ports, GUARD, await read())
  })
})

describe('a try that counts before it is looked at', () => {
  test('is looked at once at a time: of ten at once five pass before the lock, and no more', async () => {
    const { read, from } = open()
    const before = await read()
    const told = await Promise.allSettled(Array.from({ length: 10 }, () => countTry(from(), GUARD, before)))
    const refused = told.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []))
    expect(refused).toEqual(Array(5).fill('password_locked'))
    expect((await read()).tries).toBe(5)
  })

  test('is counted by itself although another one of the same millisecond has read the same', async () => {
    const { read, from } = open()
    const first = await countTry(from(), GUARD, await read())
    const both = await Promise.all([countTry(from(), GUARD, first), countTry(from(), GUARD, first)])
    expect(both.map(({ tries }) => tries).sort()).toEqual([2, 3])
  })

  test('tells the count with this one, also after a pause', async () => {
    const { read, from, advance } = open()
    const first = await countTry(from(), GUARD, await read())
    expect(first).toMatchObject({ tries: 1, all: { tries: 1 } })
    expect(await countTry(from(), GUARD, first)).toMatchObject({ tries: 2, all: { tries: 2 } })
    advance(15 * MINUTE_MS)
    expect(await countTry(from(), GUARD, await read())).toMatchObject({ tries: 1, all: { tries: 1 } })
    expect(await read()).toMatchObject({ tries: 1, all: { tries: 1 } })
  })

  test('is refused while the lock holds, and counts nothing then', async () => {
    const { type, read, from } = open()
    await type(5)
    await expect(countTry(from(), GUARD, await read())).rejects.toMatchObject({ code: 'password_locked' })
    expect((await read()).tries).toBe(5)
  })
})

describe('wrong passwords of a signed-in caller', () => {
  const names = { email: 'ada@example.com', username: 'ada' }

  test('count for both names of the account', async () => {
    const { from, read } = open()
    for (let n = 0; n < 7; n++) await countWrongPasswordOf(from(), names)
    expect((await read()).tries).toBe(7)
    expect((await readName(from(), keys.usernameGuard('ada'))).tries.tries).toBe(7)
    expect(await lockedAtVault(from(), names)).toMatchObject({
      code: 'password_locked',
      retryAfterSeconds: 4,
    })
  })

  test('of which none is known, when the vault has locked the user, take a minute', async () => {
    const { from } = open()
    expect(await lockedAtVault(from(), names)).toMatchObject({ retryAfterSeconds: 60 })
  })
})

test('a name leads to its owner', async () => {
  const { from } = open()
  const deps = from()
  expect((await readName(deps, GUARD)).accountId).toBeUndefined()
  await deps.table.put({ ...GUARD, accountId: 'account' })
  expect((await readName(deps, GUARD)).accountId).toBe('account')
})
