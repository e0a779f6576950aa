import { expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'
import { credentialFinder, REMEMBERED_MS } from '../../core/keys/credential-cache.ts'
import { newCredential } from '../../core/keys/credential-text.ts'
import type { Ports } from '../../core/ports.ts'
import type { Item } from '../../core/table/table.ts'
import { keyringOf } from '../support/keyrings.ts'

const KIND = { prefix: 'bst', purpose: 'test' }
const OWNER = { name: 'billing' }

/** A look-up whose reads are counted, and what the table answers. */
function open() {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const clock = { nowMs: () => nowMs }
  const table = {
    reads: 0,
    answer: async (): Promise<Item | undefined> => OWNER,
    async get() {
      table.reads += 1
      return table.answer()
    },
  }
  const keyring = keyringOf('5'.repeat(64))
  const ports = { clock, keyring, table, ids: randomIds(clock as never) } as unknown as Ports
  const find = credentialFinder(
    KIND,
    (hash) => ({ pk: hash, sk: '#' }),
    (item) => item,
  )
  const credential = newCredential(ports, KIND)
  return {
    table,
    ports,
    credential,
    find: (through = ports, text = credential) => find(through, text),
    advance: (ms: number) => {
      nowMs += ms
    },
  }
}

test('a credential is read once in 30 seconds, however many requests bring it at once', async () => {
  const { table, find, advance } = open()
  expect(await Promise.all([find(), find(), find()])).toEqual([OWNER, OWNER, OWNER])
  advance(REMEMBERED_MS - 1)
  await find()
  expect(table.reads).toBe(1)
  advance(1)
  await find()
  expect(table.reads).toBe(2)
})

test('one that was revoked is refused within 30 seconds, and an unknown one is remembered as well', async () => {
  const { table, find, advance } = open()
  await find()
  table.answer = async () => undefined
  expect(await find()).toEqual(OWNER)
  advance(REMEMBERED_MS)
  expect([await find(), await find()]).toEqual([undefined, undefined])
  expect(table.reads).toBe(2)
})

test('a clock that is set back prolongs nothing', async () => {
  const { table, find, advance } = open()
  await find()
  advance(-1)
  await find()
  expect(table.reads).toBe(2)
})

test('a failure is not remembered', async () => {
  const { table, find } = open()
  table.answer = () => Promise.reject(new Error('an outage'))
  await expect(Promise.all([find(), find()])).rejects.toThrow('an outage')
  table.answer = async () => OWNER
  expect(await find()).toEqual(OWNER)
  expect(table.reads).toBe(2)
})

test('a failure that comes late forgets no later read', async () => {
  const { table, find, advance } = open()
  let fail = (_: Error) => {}
  table.answer = () => new Promise((_, reject) => (fail = reject))
  const first = find()
  advance(REMEMBERED_MS)
  table.answer = async () => OWNER
  expect(await find()).toEqual(OWNER)
  fail(new Error('an outage'))
  await expect(first).rejects.toThrow('an outage')
  expect(await find()).toEqual(OWNER)
  expect(table.reads).toBe(2)
})

test('another connection to the table reads for itself', async () => {
  const { table, ports, find } = open()
  await find()
  await find({ ...ports, table: { ...ports.table, get: () => table.get() } } as unknown as Ports)
  expect(table.reads).toBe(2)
})

test('what is no credential costs no read', async () => {
  const { table, find, ports, credential } = open()
  const last = credential.at(-1) === 'a' ? 'b' : 'a'
  for (const text of ['', 'x', `${credential}x`, credential.slice(0, -1), credential.slice(0, -1) + last])
    expect([text, await find(ports, text)]).toEqual([text, undefined])
  expect(table.reads).toBe(0)
})

test('a credential of another kind is none', async () => {
  const { table, ports, find } = open()
  expect(await find(ports, newCredential(ports, { ...KIND, prefix: 'bsx' }))).toBeUndefined()
  expect(table.reads).toBe(0)
})

test('one whose root secret is not live may be anything: the table is asked each time, and nothing is remembered', async () => {
  const { table, ports, find } = open()
  const elsewhere = { ...ports, keyring: keyringOf('6'.repeat(64)) } as unknown as Ports
  const text = newCredential(elsewhere, KIND)
  expect([await find(ports, text), await find(ports, text), table.reads]).toEqual([OWNER, OWNER, 2])
})
