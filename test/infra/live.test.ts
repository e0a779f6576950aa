import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { PURPOSES } from '../../core/purposes.ts'
import { keysTextOf } from '../../functions/deploy/root-secret.ts'
import { needs } from '../../functions/http/needs.ts'
import type { Need } from '../../functions/http/route.ts'
import { listen } from '../local/http.ts'

afterEach(() => vi.unstubAllEnvs())

const ENV = {
  STAGE: 'dev-ada',
  APP_NAME: 'Acme',
  PAGE_SETTINGS: '{"supportEmail":"help@acme.io"}',
  STRIPE_SECRET_KEY: 'sk_test_51NotReal',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_51NotReal',
  STRIPE_WEBHOOK_SECRETS: 'whsec_one',
}

const LIVE = join(import.meta.dirname, '..', '..', 'functions', 'http', 'live.ts')
let started = 0

/** The composition root of a container that has just started. */
async function start(
  changes: Record<string, string> = {},
): Promise<typeof import('../../functions/http/live.ts')> {
  // Another test file of the same process has started a stack.
  for (const name of Object.values(needs).flatMap(({ settings }) => settings)) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries({ ...ENV, ...changes })) vi.stubEnv(name, value)
  // Under another name it is another module, which has opened no port yet.
  return import(/* @vite-ignore */ `${LIVE}?container=${++started}`)
}
const liveWith = async (changes: Record<string, string>) => (await start(changes)).live

test.each([
  ['sk_test_51NotReal', false],
  ['rk_test_51NotReal', false],
  ['sk_live_51NotReal', true],
  ['rk_live_51NotReal', true],
])('a stage that starts with the key %s accepts events with livemode %s', async (key, livemode) => {
  const stage = livemode ? 'production' : 'dev-ada'
  const live = await liveWith({ STAGE: stage, STRIPE_SECRET_KEY: key })
  const { paymentScope, webhookSecrets } = await live(['payments', 'paymentScope', 'webhookSecrets'])
  expect([paymentScope, webhookSecrets]).toEqual([{ livemode, stage }, ['whsec_one']])
})

test('a function knows which payments are ours without any secret', async () => {
  const live = await liveWith({ STRIPE_SECRET_KEY: '', STRIPE_WEBHOOK_SECRETS: '' })
  expect((await live(['paymentScope'])).paymentScope).toEqual({ livemode: false, stage: 'dev-ada' })
})

test.each([
  [
    'production',
    'sk_test_51NotReal',
    'is a key of the test mode. Set sk_live_… or rk_live_…, and deploy again.',
  ],
  [
    'production',
    'rk_test_51NotReal',
    'is a key of the test mode. Set sk_live_… or rk_live_…, and deploy again.',
  ],
  [
    'dev-ada',
    'sk_live_51NotReal',
    'is a key of the live mode. Set sk_test_… or rk_test_…, and deploy again.',
  ],
  ['production', 'pk_live_51NotReal', 'is a publishable key. Set sk_live_…'],
  ['dev-ada', 'whsec_one', 'is the signing secret of a webhook endpoint. Set sk_test_…'],
  ['dev-ada', 'rubbish', 'is nothing that Stripe gives out. Set sk_test_…'],
])('on the stage %s a function with the key %s does not start', async (stage, key, sentence) => {
  const live = await liveWith({ STAGE: stage, STRIPE_SECRET_KEY: key })
  await expect(live(['payments'])).rejects.toThrow(`STRIPE_SECRET_KEY ${sentence}`)
  await expect(live(['payments'])).rejects.not.toThrow(key)
})

test('no function starts with a key in the place of a webhook secret', async () => {
  const live = await liveWith({ STRIPE_WEBHOOK_SECRETS: 'whsec_one,sk_test_51NotReal' })
  await expect(live(['webhookSecrets'])).rejects.toThrow(
    'STRIPE_WEBHOOK_SECRETS is a secret key. Set whsec_…, or two of them',
  )
})

test.each([
  ['sk_test_51NotReal', 'a secret key'],
  ['rk_test_51NotReal', 'a restricted key'],
  ['pk_live_51NotReal', 'a key of the live mode'],
])('nothing that is to stay secret is told to pages: %s', async (key, is) => {
  const live = await liveWith({ STRIPE_PUBLISHABLE_KEY: key })
  await expect(live(['deployment'])).rejects.toThrow(
    `STRIPE_PUBLISHABLE_KEY is ${is}. Set pk_test_…, and deploy again.`,
  )
})

test('pages are told what the deployment has set', async () => {
  const live = await liveWith({ PAGE_SETTINGS: '{"supportEmail":"help@acme.io","color":"#0a5cff"}' })
  expect((await live(['deployment'])).deployment).toEqual({
    appName: 'Acme',
    publishableKey: 'pk_test_51NotReal',
    supportEmail: 'help@acme.io',
    color: '#0a5cff',
  })
})

describe('a deployed function', () => {
  const DEPLOYED = { AWS_LAMBDA_FUNCTION_NAME: 'bursar-login' }
  const LOCAL = {
    ...{ AWS_ENDPOINT_URL_DYNAMODB: '', JWKS_URI: '', STRIPE_API_BASE: '', TURNSTILE_API_BASE: '' },
    ...{ USER_POOL_ID: 'eu-central-1_abc', USER_POOL_CLIENT_ID: 'client' },
  }

  /** Only these settings of the stack on which the tests run. */
  function withoutLocalSettings(): void {
    for (const [name, value] of Object.entries(process.env))
      if (name.startsWith('AWS_ENDPOINT_URL') || name in LOCAL || value?.includes('Local0001'))
        vi.stubEnv(name, undefined)
  }

  test.each([
    ['AWS_ENDPOINT_URL', 'http://127.0.0.1:1'],
    ['AWS_ENDPOINT_URL_DYNAMODB', 'http://127.0.0.1:1'],
    ['JWKS_URI', 'http://127.0.0.1:1'],
    ['STRIPE_API_BASE', 'http://127.0.0.1:1'],
    ['TURNSTILE_API_BASE', 'http://127.0.0.1:1'],
    ['TABLE_NAME', 'a-table-Local0001'],
  ])('does not start with %s of the local stack', async (name, value) => {
    withoutLocalSettings()
    const { live, tokenSource } = await start({ ...DEPLOYED, [name]: value })
    const sentence = `${name} has a value of the local stack. Remove it from the deployment.`
    await expect(live([])).rejects.toThrow(sentence)
    expect(tokenSource).toThrow(sentence)
    vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', undefined)
    await expect(live([])).resolves.toHaveProperty('clock')
  })

  test('starts without them, and believes tokens of its own pool and client', async () => {
    withoutLocalSettings()
    const pool = { USER_POOL_ID: 'eu-central-1_abc', USER_POOL_CLIENT_ID: 'client' }
    const { live, tokenSource } = await start({ ...DEPLOYED, ...pool })
    expect(Object.keys(await live([])).sort()).toEqual(['clock', 'ids', 'log'])
    expect(tokenSource()).toEqual({
      ...{ userPoolId: 'eu-central-1_abc', clientId: 'client', jwksUri: undefined },
    })
  })
})

test('a distribution in front is believed by the secret that it adds, and without one nobody is', async () => {
  expect((await start({ EDGE_SECRET: 'secret' })).edgeSecret()).toBe('secret')
  vi.stubEnv('EDGE_SECRET', undefined)
  expect((await start()).edgeSecret()).toBeUndefined()
})

describe('sessions of before a restore', () => {
  test.each([
    ['', undefined],
    ['2026-11-21T12:00:00Z', Date.UTC(2026, 10, 21, 12)],
  ])('end by SESSIONS_SINCE=%j', async (value, expected) => {
    const { sessionsSinceMs } = await start({ SESSIONS_SINCE: value })
    expect(sessionsSinceMs()).toBe(expected)
  })

  test('let nobody in while it is unclear which they are', async () => {
    const { sessionsSinceMs } = await start({ SESSIONS_SINCE: 'yesterday' })
    expect(() => sessionsSinceMs()).toThrow('SESSIONS_SINCE is not a time')
  })
})

/** All settings of all ports, as far as they have to be valid at the start. */
const WHOLE = {
  ...{ AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' },
  ...{ TABLE_NAME: 'a-table', USER_POOL_ID: 'eu-central-1_abc', USER_POOL_CLIENT_ID: 'client' },
  ...{ USER_POOL_CLIENT_SECRET: 'secret', MAIL_FROM: 'a@acme.example', MAIL_CONFIGURATION_SET: 'set' },
  ...{ APP_URL: 'https://acme.example', KMS_KEY_ID: 'key', RENEWAL_FUNCTION: 'renew', EVENT_BUS: 'bus' },
  KEYRING: keysTextOf('5'.repeat(64), PURPOSES),
}

describe('a port', () => {
  test.each(Object.entries(needs))(
    'opens with its settings, and without each of them not: %s',
    async (name, facts) => {
      const [need, suffixes] = [name as Need, ['', 'InJobs', 'InProofs'] as const]
      for (const suffix of suffixes) {
        expect(await (await liveWith(WHOLE))([need], suffix)).toHaveProperty(need)
        for (const setting of facts.settings) {
          const opened = (await liveWith({ ...WHOLE, [setting]: '' }))([need], suffix)
          await expect(opened, setting).rejects.toThrow(`${setting} is not set. Deploy`)
        }
      }
    },
  )

  test('opens once in a container, and only if a row needs it', async () => {
    const live = await liveWith({ STAGE: 'dev-ada' })
    const first = await live(['paymentScope', 'webhookSecrets'])
    const second = await live(['paymentScope'])
    expect(second.paymentScope).toBe(first.paymentScope)
    expect(second).not.toHaveProperty('webhookSecrets')
  })

  test('whose client is big checks its settings at the start, and is no promise', async () => {
    const live = await liveWith(WHOLE)
    const { mail, relyingParty } = await live(['mail', 'relyingParty'])
    expect([mail.appUrl, mail.appName, relyingParty]).toEqual([
      ...['https://acme.example', 'Acme', { id: 'acme.example', name: 'Acme' }],
    ])
    expect(Reflect.get(mail, 'then')).toBeUndefined()
  })

  test('whose client is big loads with the first call, and passes what it answers on', async () => {
    const live = await liveWith({})
    const { mailDomains } = await live(['mailDomains'])
    const domains = ['mailinator.com', 'example.com']
    expect(await Promise.all(domains.map((each) => mailDomains.isDisposable(each)))).toEqual([true, false])
  })

  test.each(['', 'InJobs'] as const)(
    'calls Stripe where the local stack says: payments%s',
    async (suffix) => {
      const asked: string[] = []
      const { url, close } = await listen((request, response) => {
        asked.push(`${request.method} ${request.url}`)
        response.writeHead(404).end('{"error":{"type":"invalid_request_error","code":"resource_missing"}}')
      })
      const live = await liveWith({ ...WHOLE, STRIPE_API_BASE: url })
      const { payments } = await live(['payments'], suffix)
      await payments.readCustomer('cus_1').catch(() => undefined)
      await close()
      expect(asked[0]).toContain('GET /v1/customers/cus_1')
    },
  )

  test('is another one for jobs, and for proofs, where that has a client of its own', async () => {
    const live = await liveWith(WHOLE)
    const [{ table }, { table: inJobs }] = [await live(['table']), await live(['table'], 'InJobs')]
    expect(inJobs).not.toBe(table)
    const { paymentScope } = await live(['paymentScope'], 'InJobs')
    expect(paymentScope).toBe((await live(['paymentScope'])).paymentScope)
  })
})

describe('the service that tells people from programs', () => {
  test('is asked only where the deployment has one', async () => {
    const live = await liveWith({ TURNSTILE_SITE_KEY: '' })
    const { challenge } = await live(['challenge'])
    expect([challenge.siteKey, await challenge.verify('x', '192.0.2.1')]).toEqual([undefined, true])
    const other = await liveWith({ TURNSTILE_SITE_KEY: 'site', TURNSTILE_SECRET_KEY: 'secret' })
    expect((await other(['challenge'])).challenge.siteKey).toBe('site')
  })

  test('needs both of its keys', async () => {
    const live = await liveWith({ TURNSTILE_SITE_KEY: 'site', TURNSTILE_SECRET_KEY: '' })
    await expect(live(['challenge'])).rejects.toThrow('TURNSTILE_SECRET_KEY is not set')
  })
})

describe('the start of a container', () => {
  test('warms up on Lambda alone, once every port has opened or failed', async () => {
    const { live, ready } = await start({ STRIPE_WEBHOOK_SECRETS: '' })
    await expect(live(['webhookSecrets'])).rejects.toThrow('STRIPE_WEBHOOK_SECRETS is not set')
    const warm = vi.fn(async () => undefined)
    vi.stubEnv('AWS_LAMBDA_INITIALIZATION_TYPE', undefined)
    await ready(warm)
    expect(warm).not.toHaveBeenCalled()
    vi.stubEnv('AWS_LAMBDA_INITIALIZATION_TYPE', 'on-demand')
    await ready(warm)
    expect(warm).toHaveBeenCalledOnce()
    await expect(ready(() => Promise.reject(new Error('an outage')))).resolves.toBeUndefined()
    await expect(ready()).resolves.toBeUndefined()
  })

  test('waits two seconds for what hangs, and no longer', async () => {
    const { ready } = await start({ AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand' })
    vi.useFakeTimers()
    let isReady = false
    void ready(() => new Promise(() => {})).then(() => {
      isReady = true
    })
    await vi.advanceTimersByTimeAsync(1999)
    expect(isReady).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(isReady).toBe(true)
    vi.useRealTimers()
  })
})
