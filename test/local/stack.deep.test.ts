import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startServer } from './server.ts'
import { startStack } from './stack.ts'
import { emptyState } from './stripe/state.ts'

const folders: string[] = []
afterEach(() => {
  vi.unstubAllEnvs()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-stack-'))
  folders.push(folder)
  return folder
}

function start(dataFolder?: string, steps: string[] = []) {
  const onStep = (step: string) => void steps.push(step)
  return startServer({ port: 0, schedule: false, reload: false, quiet: true, dataFolder, onStep })
}

const expectNoDatabaseOn = (folder: string) =>
  expect(execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8' })).not.toContain(folder)

describe('a broken state file stops the start with one sentence that names the file', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pool = {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    clientId: 'c',
    clientSecret: 's',
    users: {},
    sessions: {},
  }

  test.each([
    [
      'clock.json',
      'text',
      'gar\nbage',
      'it is not JSON',
      'Delete the file; the clock then starts at the real time.',
    ],
    ['clock.json', 'nothing', '', 'it is not JSON', 'Delete the file; '],
    ['clock.json', 'null', 'null', 'Invalid input', 'Delete the file; '],
    ['clock.json', 'no offset', '{}', 'offsetMs: ', 'Delete the file; '],
    ['clock.json', 'an offset as text', '{"offsetMs": "1000"}', 'offsetMs: ', 'Delete the file; '],
    ['clock.json', 'an offset of null', '{"offsetMs": null}', 'offsetMs: ', 'Delete the file; '],
    ['clock.json', 'an infinite offset', '{"offsetMs": 1e999}', 'offsetMs: ', 'Delete the file; '],
    [
      'clock.json',
      'an offset beyond all dates',
      '{"offsetMs": 8e15}',
      'offsetMs: the clock shows',
      'Delete the file; ',
    ],
    [
      'mail.json',
      'no list',
      '{"messages": {}}',
      'messages: ',
      'Delete the file; the mail box is then empty.',
    ],
    ['mail.json', 'mail as text', '{"messages": ["hello"]}', 'messages: ', 'Delete the file; '],
    ['cognito.json', 'a list', '[]', 'Invalid input', 'Delete its folder to start afresh; '],
    [
      'cognito.json',
      'no key',
      { ...pool, privateKeyPem: 'no key' },
      'privateKeyPem: no private key',
      'Delete its folder ',
    ],
    ['cognito.json', 'a number as user', { ...pool, users: { ada: 1 } }, 'users: ', 'Delete its folder '],
    ['kms.json', 'text', '"key"', 'Invalid input', 'Delete its folder to start afresh; '],
    ['kms.json', 'a short key', { arn: 'Local0001', secret: '00' }, 'secret: no key', 'Delete its folder '],
    [
      'stripe.json',
      'half of it',
      '{"customers": {}',
      'it is not JSON',
      'Delete its folder to start afresh; ',
    ],
    [
      'stripe.json',
      'a customer as text',
      { ...emptyState(), customers: { cus_1: 'ada' } },
      'customers: ',
      'Delete its folder ',
    ],
    ['stripe.json', 'customers alone', '{"customers": {}}', 'paymentMethods: ', 'Delete its folder '],
  ])('%s: %s', async (name, _, content, fault, remedy) => {
    const folder = newFolder()
    const file = join(folder, name)
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    const error: Error = await start(folder).then(
      () => new Error('it started'),
      (thrown: Error) => thrown,
    )
    expect(error.message.startsWith(`${file} cannot be read (${fault}`), error.message).toBe(true)
    expect(error.message).toContain(`). ${remedy}`)
    expect(error.message).not.toContain('\n')
    expectNoDatabaseOn(folder)
  })

  test('a folder in place of a state file stops the start as well', async () => {
    const folder = newFolder()
    mkdirSync(join(folder, 'clock.json'))
    await expect(start(folder)).rejects.toThrow(/clock\.json cannot be read \(EISDIR.*\)\. Delete the file; /)
  })

  test.each(['clock.json', 'mail.json'])('once %s is deleted the stack starts', async (name) => {
    const folder = newFolder()
    writeFileSync(join(folder, name), 'garbage')
    await expect(start(folder)).rejects.toThrow('Delete the file')
    rmSync(join(folder, name))
    const server = await start(folder)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    await server.close()
  })
})

describe('settings of Stripe', () => {
  test.each(['sk_test_51NotReal', 'rk_test_51NotReal'])(
    '%s: the stack talks to Stripe’s test mode',
    async (key) => {
      vi.stubEnv('STRIPE_SECRET_KEY', key)
      const server = await start()
      const local = (await (await fetch(`${server.url}/_local`)).json()) as object
      expect(Object.keys(local)).toEqual(['api', 'dynamodb', 'cognito', 'table', 'now'])
      const faults = await fetch(`${server.url}/_local/stripe/faults`, {
        method: 'POST',
        body: '{"fault": "500"}',
      })
      expect(await faults.json()).toEqual({
        message: "The stack talks to Stripe's test mode: there is no double to control",
      })
      await server.close()
    },
  )

  test('pages are told its publishable key, if there is one', async () => {
    vi.stubEnv('STRIPE_SECRET_KEY', 'sk_test_51NotReal')
    const keyWith = async (key: string) => {
      vi.stubEnv('STRIPE_PUBLISHABLE_KEY', key)
      const stack = await startStack({ nowMs: () => 0 })
      await stack.close()
      return stack.env.STRIPE_PUBLISHABLE_KEY
    }
    expect(await keyWith('pk_test_51NotReal')).toBe('pk_test_51NotReal')
    expect(await keyWith('')).toBe('pk_test_not_given')
  })

  const KEY = 'sk_test_… or rk_test_…'
  const NOTHING = 'nothing that Stripe gives out'
  const refused: (readonly [name: string, value: string, is: string, wanted: string])[] = [
    ['STRIPE_SECRET_KEY', 'sk_live_51NotReal', 'a key of the live mode', KEY],
    ['STRIPE_SECRET_KEY', 'rk_live_51NotReal', 'a key of the live mode', KEY],
    ['STRIPE_SECRET_KEY', 'pk_test_51NotReal', 'a publishable key', KEY],
    ['STRIPE_SECRET_KEY', 'pk_live_51NotReal', 'a publishable key', KEY],
    ['STRIPE_SECRET_KEY', 'whsec_51NotReal', 'the signing secret of a webhook endpoint', KEY],
    ...[
      'sk_test_ 51NotReal',
      'xsk_test_51NotReal',
      'sk_test_51NotReal\n',
      ' sk_test_51NotReal',
      'rubbish',
    ].map((key) => ['STRIPE_SECRET_KEY', key, NOTHING, KEY] as const),
    ['STRIPE_PUBLISHABLE_KEY', 'sk_test_51NotReal', 'a secret key', 'pk_test_…'],
    ['STRIPE_PUBLISHABLE_KEY', 'rk_test_51NotReal', 'a restricted key', 'pk_test_…'],
    ['STRIPE_PUBLISHABLE_KEY', 'pk_live_51NotReal', 'a key of the live mode', 'pk_test_…'],
    ['STRIPE_PUBLISHABLE_KEY', 'rubbish', NOTHING, 'pk_test_…'],
    ['STRIPE_WEBHOOK_SECRETS', 'sk_test_51NotReal', 'a secret key', 'whsec_…, or two of them with a comma'],
    ['STRIPE_WEBHOOK_SECRETS', 'whsec_a, whsec_b', NOTHING, 'whsec_…, or two of them with a comma'],
  ]
  test.each(refused)(
    '%s=%j is refused before anything starts, and the error does not quote the value',
    async (name, value, is, wanted) => {
      vi.stubEnv(name, value)
      const steps: string[] = []
      const error = await start(undefined, steps).then(
        () => new Error('it started'),
        (thrown: Error) => thrown,
      )
      expect(error.message).toMatch(
        `${name} is ${is}. The local stack takes Stripe's test mode only: set it to ${wanted}`,
      )
      expect(error.message).toMatch(/ or unset Stripe's settings to use the double\.$/)
      expect(error.message).not.toContain(value.trim())
      expect(steps).toEqual([])
    },
  )

  test('an empty key counts as no key: the double is used', async () => {
    vi.stubEnv('STRIPE_SECRET_KEY', '')
    const server = await start()
    const { stripe } = (await (await fetch(`${server.url}/_local`)).json()) as { stripe: string }
    expect(stripe).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    await server.close()
  })
})

test('the stack mails in the name and from the sender of the environment, as a deployment would', async () => {
  vi.stubEnv('APP_NAME', 'Acme')
  vi.stubEnv('MAIL_FROM', 'Acme, Inc. <no-reply@acme.example>')
  const named = await startStack({ nowMs: () => 0 })
  await named.close()
  expect(named.env).toMatchObject({ APP_NAME: 'Acme', MAIL_FROM: '"Acme, Inc." <no-reply@acme.example>' })
  vi.stubEnv('MAIL_FROM', '')
  const unnamed = await startStack({ nowMs: () => 0 })
  await unnamed.close()
  expect(unnamed.env.MAIL_FROM).toBe('Acme <no-reply@bursar.example>')
  vi.stubEnv('MAIL_FROM', 'Acme')
  await expect(startStack({ nowMs: () => 0 })).rejects.toThrow(/^MAIL_FROM has no valid e-mail address/)
  vi.stubEnv('APP_NAME', 'Acme: API')
  await expect(startStack({ nowMs: () => 0 })).rejects.toThrow(/^APP_NAME must be 1 to 40 characters/)
})
