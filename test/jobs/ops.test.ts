import { beforeEach, describe, expect, test } from 'vitest'
import { moduleOf } from '../bundles/module-of.ts'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'
import { spendAs } from '../support/services.ts'

const app = await startApp()
beforeEach(app.startAfresh)

async function ops(event: unknown) {
  const { handler } = await import(/* @vite-ignore */ moduleOf('functions/jobs/ops.ts'))
  return handler(event)
}
const add = (name: string) => ops({ command: 'service add', name })
const revoke = (name: string) => ops({ command: 'service revoke', name })
const list = async () => (await ops({ command: 'service list' })).services

const CREDENTIAL = /^bss_[0-9a-f]{64}_[0-9a-f]{16}$/

describe('service add', () => {
  test('shows a credential with 256 random bits, which spends, and the list shows only its end', async () => {
    const { key } = await newConsumer(app)
    const made = await add('gateway')
    const createdAtMs = Date.now()
    const shown = { name: 'gateway', scopes: ['meter'], last4: made.credential.slice(-4), createdAtMs }
    expect(made).toEqual({
      done: 'service add',
      service: shown,
      credential: expect.stringMatching(CREDENTIAL),
    })
    expect((await spendAs(app, { name: 'gateway', credential: made.credential }, { key })).status).toBe(200)
    expect(await list()).toEqual([shown])
    expect(made.credential.slice(4, 68)).not.toBe((await add('worker')).credential.slice(4, 68))
  })

  test('refuses a name with a live credential, and of two at once one is made', async () => {
    const both = await Promise.all([add('gateway'), add('gateway')])
    const refusal = {
      refused:
        'A service named gateway has a live credential. Choose another name, such as gateway-2, or revoke gateway first.',
    }
    expect(both.filter(({ credential }) => credential)).toHaveLength(1)
    expect(both).toContainEqual(refusal)
    expect(await add('gateway')).toEqual(refusal)
    expect(await list()).toHaveLength(1)
  })

  test.each(['', 'Gateway', 'a b', '-a', 'a#b', `bss_${'0'.repeat(30)}`, 'a'.repeat(41), 'é'])(
    'refuses the name "%s" and does not repeat it',
    async (name) => {
      expect(await add(name)).toEqual({
        refused:
          'A name has 1 to 40 lower-case letters, digits and hyphens, and begins with a letter or digit.',
      })
      expect(await list()).toEqual([])
    },
  )
})

describe('service revoke', () => {
  test('keeps the service in the list with the time, repeats alike, and frees the name', async () => {
    const first = await add('gateway')
    app.advance(60_000)
    const revoked = { ...first.service, revokedAtMs: Date.now() }
    expect(await revoke('gateway')).toEqual({ done: 'service revoke', service: revoked })
    app.advance(60_000)
    expect(await revoke('gateway')).toEqual({ done: 'service revoke', service: revoked })
    expect(await list()).toEqual([revoked])
    const second = await add('gateway')
    expect(second.credential).not.toBe(first.credential)
    expect(await list()).toEqual([second.service])
    const { key } = await newConsumer(app)
    const statuses = [first, second].map(({ credential }) =>
      spendAs(app, { name: 'gateway', credential }, { key }),
    )
    expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([401, 200])
  })

  test('refuses an unknown name', async () => {
    expect(await revoke('gateway')).toEqual({
      refused: 'There is no service named gateway. `service list` shows all.',
    })
  })
})

test.each([undefined, null, {}, [], 'service list', { command: 'service drop' }, { command: 'service add' }])(
  'refuses the command %j',
  async (event) => {
    expect(await ops(event)).toEqual({ refused: 'There is no such command.' })
  },
)

test('neither the log nor the table holds a credential', async () => {
  const { credential } = await add('gateway')
  const [, secret = ''] = credential.split('_')
  const { table } = await app.ports()
  const items = await table.list('SERVICES', 'SERVICE#')
  expect(items).toHaveLength(1)
  expect(JSON.stringify(items)).not.toContain(secret.slice(0, 16))
  expect(app.logs.some((line) => line.includes('"done":"service add","service":"gateway"'))).toBe(true)
  expect(app.logs.join('\n')).not.toMatch(/bss_/)
})
