import { expect, test } from 'vitest'
import { DomainError, rateLimited } from '../../core/errors.ts'
import { vaultForCustomers, vaultForStrangers } from '../../core/limits/vault-turn.ts'
import type { Identity } from '../../core/ports.ts'

/** A vault that takes so many calls a second, and a clock that only waits move. */
function busyVault(perSecond: number) {
  let nowMs = 0
  const calls: { by: string; atMs: number }[] = []
  const vault = (by: string): Identity =>
    ({
      async signIn() {
        const second = Math.floor(nowMs / 1000)
        const taken = calls.filter(({ atMs }) => Math.floor(atMs / 1000) === second).length
        if (taken >= perSecond)
          throw rateLimited({ scope: 'all', retryAfterSeconds: undefined }, new Error('busy'))
        calls.push({ by, atMs: nowMs })
        return undefined
      },
    }) as unknown as Identity
  const clock = {
    nowMs: () => nowMs,
    wait: async (ms: number) => {
      nowMs += ms
    },
  }
  return { vault, clock, calls, advance: clock.wait }
}

test('a customer who has signed in waits for a busy vault, and gets through', async () => {
  const { vault, clock, calls } = busyVault(1)
  const customers = vaultForCustomers(vault('customer'), clock)
  await customers.signIn('a', 'b')
  await customers.signIn('a', 'b')
  expect(calls).toHaveLength(2)
})

test('a stranger is refused at once, with the time after which to try again', async () => {
  const { vault, clock } = busyVault(0)
  const error = await vaultForStrangers(vault('stranger'), clock)
    .signIn('a', 'b')
    .catch((each: unknown) => each)
  expect(error).toBeInstanceOf(DomainError)
  expect(error).toMatchObject({ code: 'temporarily_unavailable', retryAfterSeconds: 2 })
  expect(clock.nowMs()).toBe(0)
})

test('after three refusals in a row a container lets no stranger call for a second, and one success ends that', async () => {
  let isBusy = true
  let made = 0
  const { clock, advance } = busyVault(1)
  const strangers = vaultForStrangers(
    {
      async refresh() {
        made++
        if (isBusy) throw rateLimited({ scope: 'all', retryAfterSeconds: undefined }, new Error('busy'))
        return undefined
      },
    } as unknown as Identity,
    clock,
  )
  const ask = () => strangers.refresh('t').catch(() => undefined)
  for (let tries = 0; tries < 10; tries++) await ask()
  expect(made).toBe(3)
  await advance(999)
  await ask()
  expect(made).toBe(3)
  await advance(1)
  for (let tries = 0; tries < 10; tries++) await ask()
  expect(made).toBe(4)
  isBusy = false
  await advance(1_000)
  for (let tries = 0; tries < 5; tries++) await ask()
  expect(made).toBe(9)
})

test('while strangers flood the vault, every customer is served', async () => {
  const { vault, clock, calls, advance } = busyVault(5)
  const containers = Array.from({ length: 50 }, () => vaultForStrangers(vault('stranger'), clock))
  const customers = vaultForCustomers(vault('customer'), clock)
  for (let second = 0; second < 30; second++) {
    await Promise.all(containers.map((each) => each.signIn('a', 'b').catch(() => undefined)))
    await customers.signIn('c', 'd')
    await advance(1000)
  }
  expect(calls.filter(({ by }) => by === 'customer')).toHaveLength(30)
})
