/**
 * `npm run restore-drill`: loses the table of a running stack, restores it from a backup that is older, and checks what the
 * runbook promises (functions/deploy/README.md, "Restore"). It exits non-zero when a promise is not kept.
 */
import { randomUUID } from 'node:crypto'
import { TOTP } from 'otpauth'
import { signRequest } from '../../functions/ops/command/sign.ts'
import { type Server, startServer } from './server.ts'

/** What was checked, and what was found instead; undefined if it holds. */
export interface Check {
  what: string
  found: string | undefined
}

const PASSWORD = 'Hello123!'
const NEW_PASSWORD = 'Another123!'
const ADDRESS = { street: 'Main st. 1', city: 'York', postCode: 'YO31 8SB', country: 'GB' }
const MINUTE_MS = 60_000

interface Asked {
  json?: object
  token?: string
}

/** What a drill does with a running stack. */
function openStack(url: string) {
  async function send(method: string, path: string, { json, token }: Asked = {}, sign?: Signing) {
    const body = json === undefined ? '' : JSON.stringify(json)
    const headers = {
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(sign && signRequest(sign, { method, url: new URL(url + path), body }, sign.nowMs)),
    }
    const answer = await fetch(url + path, { method, headers, ...(body !== '' && { body }) })
    const text = await answer.text()
    // biome-ignore lint/suspicious/noExplicitAny: a drill reads answers of every shape
    return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as any }
  }
  const must = async (request: string, asked: Asked = {}, sign?: Signing) => {
    const [method = '', path = ''] = request.split(' ')
    const { status, body } = await send(method, path, asked, sign)
    if (status >= 300) throw new Error(`${request} answered ${status} ${JSON.stringify(body)}`)
    return body
  }
  const control = (request: string, json?: object) => must(request.replace(' ', ' /_local'), json && { json })
  return {
    must,
    control,
    ask: (request: string, asked: Asked) => {
      const [method = '', path = ''] = request.split(' ')
      return send(method, path, asked)
    },
    status: async (request: string, asked: Asked = {}) => {
      const [method = '', path = ''] = request.split(' ')
      return (await send(method, path, asked)).status
    },
    /** Asks as an operator. */
    operate: async (request: string, json?: object) => {
      const { admin } = await control('GET /operators')
      return must(request, json && { json }, admin)
    },
    job: (name: string) => control(`POST /jobs/${name}`),
    advance: (advanceMs: number) => control('POST /clock', { advanceMs }),
    mailedCode: async (email: string): Promise<string> => {
      const mails: { text: string }[] = await control(`GET /mail?to=${encodeURIComponent(email)}`)
      const codes = mails.map(({ text }) => /\b[0-9a-f]{32}\b/.exec(text)?.[0])
      return codes.findLast((code) => code !== undefined) ?? ''
    },
    mails: async (email: string): Promise<number> =>
      (await control(`GET /mail?to=${encodeURIComponent(email)}`)).length,
  }
}

type Signing = Parameters<typeof signRequest>[0] & { nowMs: number }
type Running = ReturnType<typeof openStack>

interface Person {
  id: string
  email: string
  token: string
  refreshToken: string
  /** The default application key. */
  key: string
}

async function newPerson(stack: Running, username: string): Promise<Person> {
  const email = `${username}@mail.example`
  await stack.must('POST /rest/users', { json: { username, email, password: PASSWORD } })
  await stack.must('POST /v1/auth/activate', { json: { code: await stack.mailedCode(email) } })
  return { ...(await signIn(stack, email)), email }
}

async function signIn(stack: Running, email: string, password = PASSWORD): Promise<Omit<Person, 'email'>> {
  const { accessToken, refreshToken } = await stack.must('POST /v1/auth/login', { json: { email, password } })
  const { id, apiKey } = await stack.must('GET /v1/user', { token: accessToken })
  return { id, token: accessToken, refreshToken, key: apiKey }
}

const signUpFor = (stack: Running, { token }: Pick<Person, 'token'>, name = 'STARTER') =>
  stack.must('POST /v1/user/bundle', {
    token,
    json: { name, paymentMethod: 'pm_card_visa', address: ADDRESS },
  })

/** Signs up for a bundle with a card that asks for 3-D Secure. @returns the id of its payment */
async function pay(stack: Running, { token }: Person, paymentMethod: string): Promise<string> {
  const json = { name: 'STARTER', paymentMethod, address: ADDRESS }
  const { body } = await stack.ask('POST /v1/user/bundle', { token, json })
  return String(body?.clientSecret).split('_secret_')[0] ?? ''
}

/**
 * Runs the drill against a stack of its own.
 * @param say gets each step before it begins.
 * @returns every check, in order
 * @throws Error if a step itself fails
 */
export async function restoreDrill(say: (step: string) => void = () => {}): Promise<Check[]> {
  const server = await startServer({ port: 0, schedule: false, reload: false, quiet: true })
  try {
    return await drill(server, say)
  } finally {
    await server.close()
  }
}

async function drill(server: Pick<Server, 'url'>, say: (step: string) => void): Promise<Check[]> {
  const stack = openStack(server.url)
  const { must, operate, job, control, advance, status } = stack
  const checks: Check[] = []
  const check = (what: string, expected: unknown, found: unknown) => {
    const isRight = JSON.stringify(expected) === JSON.stringify(found)
    checks.push({
      what,
      found: isRight ? undefined : `${JSON.stringify(found)}, not ${JSON.stringify(expected)}`,
    })
  }
  /** What a key answers when it spends. */
  const spends = (token: string) =>
    status('POST /v1/usage', { token, json: { units: 1, requestId: randomUUID() } })
  const units = async (token: string): Promise<number> =>
    (await must('GET /v1/usage/balance', { token })).left

  say('a world: customers with keys and bundles, services, operators')
  const people = ['ada', 'bob', 'cleo', 'dan', 'eve', 'fay', 'gus', 'hal', 'ida', 'joe', 'kay'] as const
  const world = {} as Record<(typeof people)[number], Person>
  for (const name of people) world[name] = await newPerson(stack, name)
  const { ada, bob, cleo, dan, eve, fay, gus, hal, ida, joe, kay } = world
  await signUpFor(stack, ada)
  await signUpFor(stack, bob)
  await signUpFor(stack, joe)
  await must('POST /v1/usage', { token: joe.key, json: { units: 1095, requestId: randomUUID() } })
  const laptop = await must('POST /v1/keys', { token: ada.token, json: { name: 'laptop' } })
  const server2 = await must('POST /v1/keys', { token: ada.token, json: { name: 'server' } })
  const reason = 'the drill'
  const service = await operate('POST /ops/admin/services', { name: 'gateway', reason })
  const adminKey = await operate('POST /ops/admin/admin-keys', { name: 'back-office', role: 'read', reason })
  await job('publish-events')
  await advance(20 * MINUTE_MS)
  await job('sweep')
  for (const name of people) Object.assign(world[name], await signIn(stack, world[name].email))

  // Its bank asks for 3-D Secure, which the customer does after the backup.
  const asked = await control('POST /stripe/confirmation-tokens', { number: '4000002760003184' })
  const waiting = await pay(stack, kay, asked.id)

  say('T0: the backup')
  await control('POST /restore/backup')
  const { now } = await control('POST /clock', { advanceMs: 1_000 })
  const since = new Date(now).toISOString()

  say('after T0: purchases, a refund, revocations, and people who leave')
  await must('POST /v1/user/buy', { token: ada.token })
  await signUpFor(stack, cleo)
  await control('POST /stripe/authenticate', { paymentIntent: waiting, outcome: 'succeed' })
  await job('check-quotas')
  const lee = await newPerson(stack, 'lee')
  await signUpFor(stack, lee)
  const [refunded] = await must('GET /v1/invoice/list', { token: bob.token })
  await operate(`POST /ops/support/accounts/${bob.id}/purchases/${refunded.id}/refund`, {
    reason,
    what: 'all',
  })
  await job('settle-payments')
  await must(`DELETE /v1/keys/${laptop.id}`, { token: ada.token })
  await must(`PUT /v1/keys/${server2.id}`, { token: ada.token, json: { enabled: false } })
  await must('POST /v1/keys/default/rotate', { token: ada.token, json: {} })
  await must('POST /v1/auth/logout', { token: ada.token, json: { everywhere: true } })
  await operate(`POST /ops/support/accounts/${dan.id}/suspend`, { reason })
  await must('PUT /api/users/current/deactivate', { token: eve.token })
  await operate(`POST /ops/admin/accounts/${fay.id}/erase`, { reason, confirm: fay.id })
  await must('PUT /rest/users/gus', { token: gus.token, json: { email: 'gus@other.example' } })
  await must('POST /v1/auth/activate', { json: { code: await stack.mailedCode('gus@other.example') } })
  const { seed } = await must('POST /v1/auth/2FA', { token: hal.token })
  await must('POST /v1/auth/verify2FA', {
    token: hal.token,
    json: { code: new TOTP({ secret: seed }).generate({ timestamp: now }) },
  })
  await must('PUT /v1/user/password', {
    token: ida.token,
    json: { oldPassword: PASSWORD, password: NEW_PASSWORD },
  })
  await operate('POST /ops/admin/services/gateway/revoke', { reason })
  await operate('POST /ops/admin/admin-keys/back-office/revoke', { reason })
  await operate('POST /ops/admin/mail-domains', { domain: 'throwaway.example', rule: 'block', reason })
  const before = {
    ada: await units((await signIn(stack, ada.email)).key),
    cleo: await units(cleo.key),
    joe: await units(joe.key),
  }
  await job('publish-events')
  await advance(5 * MINUTE_MS)

  say('the restore: the functions use the backup')
  await control('POST /restore')
  check('a token from before the restore is refused', 401, await status('GET /v1/user', { token: bob.token }))
  check(
    'and so is one that was signed out everywhere since T0',
    401,
    await status('GET /v1/user', { token: ada.token }),
  )
  const refresh = { json: { refreshToken: ada.refreshToken } }
  check('and its refresh token', 401, await status('POST /v1/auth/refresh', refresh))
  check('the backup has the revoked key again, so far', 200, await spends(laptop.key))

  say('the replay of events since T0, twice')
  const replay = async () => Object.values(await control('POST /restore/replay', { since }))
  const first = await replay()
  check(
    'each event is applied, or was undone later',
    [],
    first.filter((each) => !isApplied(each)),
  )
  const second = await replay()
  check(
    'a second replay changes nothing',
    [],
    second.filter((each) => !isKnown(each)),
  )

  say('the comparison with Stripe')
  const alarms: string[] = []
  for (let sweeps = 0; sweeps < 8; sweeps++) {
    await job('check-quotas')
    await job('settle-payments')
    alarms.push(...(await job('sweep')).alarms)
    await advance(10 * MINUTE_MS)
  }
  const unknown = alarms.filter((alarm) => !/charged, but no purchase is recorded; refund it/.test(alarm))
  check('a payment of an account that began since T0 is the only alarm', [1, []], [alarms.length, unknown])

  const again = await signIn(stack, ada.email)
  // One unit was spent with the key that had not been revoked again yet.
  check('a purchase since T0 is credited, once', before.ada - 1, await units(again.key))
  const invoices = await must('GET /v1/invoice/list', { token: again.token })
  check('and is on the list of payments', 2, invoices.length)
  const cleoAgain = await signIn(stack, cleo.email)
  check('a first purchase since T0 is credited, with its customer', before.cleo, await units(cleoAgain.key))
  check(
    'its account has the bundle',
    'STARTER',
    (await must('GET /v1/user', { token: cleoAgain.token })).bundle?.name,
  )
  const kayAgain = await signIn(stack, kay.email)
  check('a payment that waited for its customer at T0 is credited', 1100, await units(kayAgain.key))
  const joAgain = await signIn(stack, joe.email)
  check('a renewal since T0 is credited, and not made again', before.joe, await units(joAgain.key))
  const ofJo = await must('GET /v1/invoice/list', { token: joAgain.token })
  check('its customer has paid twice in all', 2, ofJo.length)
  const bobAgain = await signIn(stack, bob.email)
  check('a refund since T0 has taken its units', 100, await units(bobAgain.key))

  check('a key that was revoked since T0 is refused', 401, await spends(laptop.key))
  check('a key that was switched off since T0 is refused', 403, await spends(server2.key))
  check('a key that was rotated since T0 is refused', 401, await spends(ada.key))
  const login = (email: string, password = PASSWORD) =>
    status('POST /v1/auth/login', { json: { email, password } })
  check('a suspended account stays out', 403, await login(dan.email))
  check('and its key is refused', 403, await spends(dan.key))
  check('a deactivated account stays out', 403, await login(eve.email))
  check('an erased account is erased', 401, await login(fay.email))
  check('and its key is refused', 401, await spends(fay.key))
  const mailed = await stack.mails(gus.email)
  await must('POST /v1/user/resetPassword', { json: { email: gus.email } })
  await job('send-mail')
  check('no code goes to an address from before its change', mailed, await stack.mails(gus.email))
  check('two-factor authentication since T0: the password alone lets nobody in', 401, await login(hal.email))
  check('a password from before its change lets nobody in', 401, await login(ida.email))
  check('the new one does', 200, await login(ida.email, NEW_PASSWORD))
  const spendAs = { token: service.credential, json: { units: 1, requestId: randomUUID() } }
  check(
    'the credential of a service that was revoked is refused',
    401,
    await status('POST /v1/usage', spendAs),
  )
  const { adminKeys } = await operate('GET /ops/read/admin-keys')
  check('an admin key that was revoked stays revoked', 'string', typeof adminKeys[0]?.revokedAt)
  const stranger = { username: 'x1', email: 'x1@throwaway.example', password: PASSWORD }
  check('a blocked mail domain stays blocked', 400, await status('POST /rest/users', { json: stranger }))
  if (adminKey.credential === undefined) throw new Error('no admin key was made')
  return checks
}

const outcomeOf = (each: unknown) => (each as { event?: unknown }).event
const isApplied = (each: unknown) => ['applied', 'known', 'outdated'].includes(String(outcomeOf(each)))
const isKnown = (each: unknown) => ['known', 'gone'].includes(String(outcomeOf(each)))

// Not `import.meta.main`, which is false for a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) {
  const checks = await restoreDrill((step) => console.log(`… ${step}`))
  for (const { what, found } of checks) console.log(found === undefined ? `✓ ${what}` : `✗ ${what}: ${found}`)
  const failed = checks.filter(({ found }) => found !== undefined).length
  console.log(
    failed === 0 ? `All ${checks.length} promises are kept.` : `${failed} of ${checks.length} are not.`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}
