import { expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'
import { findService } from '../../core/keys/service-caller.ts'
import { addService, listServices, revokeService } from '../../core/keys/services.ts'
import type { Ports } from '../../core/ports.ts'
import type { Table } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { interleaved } from '../machine/quota-world.ts'
import { keyringOf } from '../support/keyrings.ts'

const OUTAGE = new Error('an outage')

function open() {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const clock = { nowMs: () => nowMs, wait: () => Promise.resolve() }
  const table = memoryTable()
  const ports = {
    table,
    clock,
    keyring: keyringOf('5'.repeat(64)),
    ids: randomIds(clock),
  } as unknown as Ports
  return {
    ports,
    startMs: nowMs,
    advance: (ms: number) => {
      nowMs += ms
    },
    /** Ports of another container, whose transactions fail. */
    broken: { ...ports, table: { ...table, transact: () => Promise.reject(OUTAGE) } as Table },
    /** Ports of a container that remembers no credential. */
    fresh: () => ({ ...ports, table: { ...table } }),
    events: () => table.items().filter(({ type }) => type === 'deployment.revoked'),
  }
}

test('a service is in the list with the end of its credential, and no list has its hash', async () => {
  const { ports, startMs } = open()
  const { service, credential } = await addService(ports, 'gateway', 'new')
  const shown = { name: 'gateway', scopes: ['meter'], last4: credential.slice(-4), createdAtMs: startMs }
  expect(service).toEqual(shown)
  const [listed] = await listServices(ports)
  expect(listed).toMatchObject(shown)
  expect(listed).not.toHaveProperty('hash')
  expect(await findService(ports, credential)).toBe('gateway')
})

test('a live name belongs to one credential, and a revoked one may be used again', async () => {
  const { ports, fresh } = open()
  const first = await addService(ports, 'gateway')
  await expect(addService(ports, 'gateway')).rejects.toMatchObject({
    code: 'service_exists',
    detail: expect.stringContaining('gateway-2'),
  })
  await revokeService(ports, 'gateway')
  const second = await addService(ports, 'gateway')
  await expect(findService(fresh(), first.credential)).rejects.toMatchObject({ code: 'service_refused' })
  expect(await findService(fresh(), second.credential)).toBe('gateway')
  expect(await listServices(ports)).toHaveLength(1)
})

test('an outage is no conflict: neither a new service nor a revocation says that it took effect', async () => {
  const { ports, broken, fresh } = open()
  await expect(addService(broken, 'gateway')).rejects.toBe(OUTAGE)
  const { credential } = await addService(ports, 'gateway')
  await expect(revokeService(broken, 'gateway')).rejects.toBe(OUTAGE)
  expect(await findService(fresh(), credential)).toBe('gateway')
})

test('a revocation is announced once, and of two at once both say that it took effect', async () => {
  const { ports, advance, startMs, events } = open()
  await addService(ports, 'gateway')
  advance(1000)
  const during = interleaved(ports, 'transact', 1, () => revokeService(ports, 'gateway'))
  expect(await revokeService(during, 'gateway', 'stolen')).toMatchObject({ revokedAtMs: startMs + 1000 })
  expect(events()).toMatchObject([{ data: { what: 'service', id: 'gateway' } }])
  advance(1000)
  const again = await revokeService(ports, 'gateway')
  expect(again).toMatchObject({ name: 'gateway', revokedAtMs: startMs + 1000 })
  expect(again).not.toHaveProperty('hash')
  expect(events()).toHaveLength(1)
})

test('a revocation that another one and a new credential overtake leaves the new credential alone', async () => {
  const { ports, fresh } = open()
  await addService(ports, 'gateway')
  let text = ''
  const during = interleaved(ports, 'transact', 1, async () => {
    await revokeService(ports, 'gateway')
    text = (await addService(ports, 'gateway')).credential
  })
  await revokeService(during, 'gateway')
  expect(await findService(fresh(), text)).toBe('gateway')
})

test('an unknown name is refused with the reason', async () => {
  const { ports } = open()
  await expect(revokeService(ports, 'gateway')).rejects.toMatchObject({
    ...{ code: 'not_found', detail: 'There is no service of this name.' },
  })
})
