import { describe, expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'
import {
  countShown,
  isOwnersNetwork,
  networkMac,
  ownersNetworkSet,
  readShown,
  settleShown,
  strangersKey,
  withNetwork,
} from '../../core/credentials/stranger-tries.ts'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import type { Table } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { keyringOf } from '../support/keyrings.ts'
import { recordingLog } from '../support/log.ts'

const MINUTE_MS = 60_000
const ACCOUNT = 'account'
const wrong = () => Promise.reject(new DomainError('invalid_credentials'))
const outage = () => Promise.reject(new DomainError('temporarily_unavailable'))

function open(methods: Partial<Table> = {}) {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const table = { ...memoryTable(), ...methods }
  const clock = { nowMs: () => nowMs, wait: () => new Promise<void>((resolve) => setImmediate(resolve)) }
  const { log, lines } = recordingLog(clock.nowMs)
  const keyring = keyringOf('5'.repeat(64))
  const ports = { table, clock, ids: randomIds(clock), log, keyring } as unknown as Ports
  const show = async (isOwners = false, subject = ACCOUNT) =>
    countShown(ports, subject, await readShown(ports, subject), isOwners)
  return {
    ports,
    table,
    lines,
    show,
    advance: (ms: number) => {
      nowMs += ms
    },
    shown: async () => (await readShown(ports, ACCOUNT))?.shown,
    /** @returns how many of so many passwords the vault is shown. */
    async showMany(count: number, isOwners = false) {
      let shown = 0
      for (let n = 0; n < count; n++) if (await show(isOwners)) shown++
      return shown
    },
  }
}

describe('passwords that strangers type for an account', () => {
  test('are shown to the vault eight times in a row, and then only those of the owner’s networks', async () => {
    const { showMany, shown } = open()
    expect(await showMany(12)).toBe(8)
    expect(await showMany(5, true)).toBe(5)
    expect(await showMany(1)).toBe(0)
    expect(await shown()).toBe(8)
  })

  test('of the owner’s networks count for no stranger', async () => {
    const { showMany } = open()
    expect(await showMany(20, true)).toBe(20)
    expect(await showMany(9)).toBe(8)
  })

  test('are eight, however many come at once', async () => {
    const { ports, shown } = open()
    const read = await readShown(ports, ACCOUNT)
    const told = await Promise.all(Array.from({ length: 12 }, () => countShown(ports, ACCOUNT, read, false)))
    expect([told.filter(Boolean).length, await shown()]).toEqual([8, 8])
  })

  test('count anew once nobody was shown for sixteen minutes, and not a millisecond sooner', async () => {
    const { showMany, advance } = open()
    await showMany(8)
    advance(16 * MINUTE_MS - 1)
    expect(await showMany(1)).toBe(0)
    advance(1)
    expect(await showMany(9)).toBe(8)
  })

  test('that are not shown keep nobody out for longer', async () => {
    const { showMany, advance } = open()
    await showMany(8)
    advance(10 * MINUTE_MS)
    await showMany(5)
    advance(6 * MINUTE_MS)
    expect(await showMany(1)).toBe(1)
  })

  test('cost one write each, whether they are counted or not and whoever sends them', async () => {
    const { ports, table } = open()
    const costs: number[] = []
    let writes = 0
    const counting = {
      ...ports,
      table: {
        ...table,
        update: (...request: Parameters<Table['update']>) => {
          writes += 1
          return table.update(...request)
        },
      },
    } as Ports
    for (let n = 0; n < 10; n++)
      for (const isOwners of [true, false]) {
        writes = 0
        await countShown(counting, ACCOUNT, await readShown(counting, ACCOUNT), isOwners)
        costs.push(writes)
      }
    expect(costs).toEqual(Array(20).fill(1))
  })

  test('of one account count for no other', async () => {
    const { show, showMany } = open()
    await showMany(8)
    expect(await show(false, 'other')).toBe(true)
  })
})

describe('what the vault says of a password', () => {
  const isRight = (answer: string) => answer === 'right'
  const settle = (ports: Ports, show: () => Promise<string>) => settleShown(ports, ACCOUNT, show, isRight)

  test('right forgets what was counted, and another answer does not', async () => {
    const { ports, showMany, shown } = open()
    await showMany(3)
    expect(await settle(ports, async () => 'a challenge')).toBe('a challenge')
    expect(await shown()).toBe(3)
    expect(await settle(ports, async () => 'right')).toBe('right')
    expect(await shown()).toBeUndefined()
  })

  test('wrong stays counted', async () => {
    const { ports, showMany, shown, lines } = open()
    await showMany(3)
    await expect(settle(ports, wrong)).rejects.toMatchObject({ code: 'invalid_credentials' })
    expect([await shown(), lines]).toEqual([3, []])
  })

  test('nothing takes the try back, down to none', async () => {
    const { ports, showMany, shown, lines } = open()
    await showMany(1)
    await expect(settle(ports, outage)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(await shown()).toBe(0)
    await expect(settle(ports, () => Promise.reject(new TypeError('torn')))).rejects.toThrow('torn')
    expect(await shown()).toBe(0)
    // Nothing was counted, so nothing stays counted.
    expect(lines).toEqual([])
  })

  test('nothing, and a table that does not answer: the try stays counted, and leaves a line', async () => {
    const { ports, showMany, shown, lines, table } = open()
    await showMany(2)
    const failing = { ...ports, table: { ...table, update: outage } } as unknown as Ports
    await expect(settle(failing, outage)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(await shown()).toBe(2)
    expect(lines).toMatchObject([
      { level: 'warn', what: 'a try that the vault did not judge stays counted for some minutes' },
    ])
  })
})

describe('the networks of an owner', () => {
  const from = (ip: string | undefined) => ({ ...open().ports, origin: { ip } }) as unknown as Ports

  test('are known by the account and the network alone, and nothing that has no address is the owner’s', () => {
    const mac = networkMac(from('192.0.2.1'), ACCOUNT) ?? ''
    expect(mac).toHaveLength(11)
    expect(networkMac(from('192.0.2.1'), 'other')).not.toBe(mac)
    expect(isOwnersNetwork(from('192.0.2.1'), { id: ACCOUNT, networks: ['x', mac] })).toBe(true)
    expect(isOwnersNetwork(from('203.0.113.1'), { id: ACCOUNT, networks: ['x', mac] })).toBe(false)
    expect(isOwnersNetwork(from('192.0.2.1'), { id: ACCOUNT })).toBe(false)
    expect(isOwnersNetwork(from(undefined), { id: ACCOUNT, networks: ['x'] })).toBe(false)
    expect(ownersNetworkSet(from(undefined), ACCOUNT)).toEqual([])
    expect(ownersNetworkSet(from('192.0.2.1'), ACCOUNT)).toHaveLength(1)
  })

  test('are ten, each once, the newest first', () => {
    const ten = Array.from({ length: 10 }, (_, n) => `n${n}`)
    expect(withNetwork(ten, 'new')).toEqual(['new', ...ten.slice(0, 9)])
    expect(withNetwork(ten, 'n4')).toEqual(['n4', ...ten.filter((each) => each !== 'n4')])
    expect(withNetwork([], 'new')).toEqual(['new'])
  })

  test('and what strangers have typed, are kept under names that tell nothing', () => {
    const { ports } = open()
    const key = strangersKey(ports, 'ada@example.com')
    expect(JSON.stringify(key)).not.toContain('ada')
    // Of 128 bits, because each byte of a key is read and written.
    expect(key.pk).toMatch(/#[\w-]{22}$/)
  })
})
