/**
 * `npm run demo`: the whole story against the running code, on two screens, or with every request and answer after
 * `-- --verbose`, or the life of an account in a visible browser with `-- --watch`; exits non-zero when a step is not as expected.
 */
import { styleText } from 'node:util'
import { Hono } from 'hono'
import { TOTP } from 'otpauth'
import { meter } from '../../functions/client/meter.ts'
import { centsOf } from '../../functions/http/money-shapes.ts'
import { startServer } from './server.ts'
import { type Teller, teller } from './teller.ts'

const ada = { username: 'ada', email: 'ada@mail.example', password: 'Hello123!' }

async function account({ ask, must, mailedCode }: Teller): Promise<void> {
  await ask('Ada registers', 'POST /rest/users', 201, { json: ada })
  const eve = { ...ada, email: 'eve@mail.example', password: 'Bye12345!' }
  await ask('Her name is taken now', 'POST /rest/users', 409, { json: eve })
  const code = await mailedCode(ada.email)
  await ask('She confirms her address with the code from the mail', 'POST /v1/auth/activate', 200, {
    json: { code },
  })
  await ask('Sent again, it gets the same answer', 'POST /v1/auth/activate', 200, { json: { code } })
  const { accessToken: token, refreshToken } = await ask('She signs in', 'POST /v1/auth/login', 200, {
    json: { email: ada.email, password: ada.password },
  })

  const emcp = await ask('She reads her account as EMCP shows it', 'GET /api/users/current', 200, { token })
  const green = await ask('as GreenCloud shows it', 'GET /v1/user', 200, { token })
  const skylink = await ask('as Skylink shows it', 'GET /rest/users/ada', 200, { token })
  must(emcp._id === green.id && skylink.content.username === 'ada', 'it is one account in three shapes')
  must(emcp.emailVerified && skylink.content.status === 'verified', 'her address is confirmed in all of them')
  await ask('Another account is not hers to read', 'GET /rest/users/eve', 404, { token })

  await ask('She gets a new access token', 'POST /v1/auth/refresh', 200, { json: { refreshToken } })
  await ask('She signs out', 'POST /v1/auth/logout', 204, { token })
  await ask('Her token has ended with the session', 'GET /v1/user', 401, { token })
  await ask('and so has its refresh token', 'POST /v1/auth/refresh', 401, { json: { refreshToken } })
}

async function credentials({ ask, must, mailedCode, control }: Teller): Promise<void> {
  const login = { email: ada.email, password: ada.password }
  const { accessToken: token } = await ask('Ada signs in again', 'POST /v1/auth/login', 200, { json: login })
  await ask('She gives her full name', 'PUT /api/users/current', 200, {
    token,
    json: { name: 'Ada King Lovelace' },
  })
  const { name, surname } = await ask('which GreenCloud splits at its last space', 'GET /v1/user', 200, {
    token,
  })
  must(name === 'Ada King' && surname === 'Lovelace', `it reads ${name} / ${surname}`)

  const { seed } = await ask('She enrols a second factor', 'POST /v1/auth/2FA', 200, { token })
  const app = new TOTP({ secret: seed })
  const proof = { code: app.generate() }
  const { recoveryCodes } = await ask('and proves it with a first code', 'POST /v1/auth/verify2FA', 200, {
    token,
    json: proof,
  })
  must(recoveryCodes.length === 10, 'ten recovery codes are shown, this once')
  await ask('Her password alone no longer signs her in', 'POST /v1/auth/login', 401, { json: login })

  const forgotten = { email: ada.email }
  await ask('She asks for a reset code', 'POST /v1/user/resetPassword', 204, { json: forgotten })
  await control('POST', '/jobs/send-mail')
  const reset = { code: await mailedCode(ada.email), password: 'Forgotten1!' }
  await ask('The code alone does not get round the second factor', 'PUT /v1/user/resetPassword', 401, {
    json: reset,
  })
  const twofa = recoveryCodes[0]
  await ask('with a recovery code it does', 'PUT /v1/user/resetPassword', 204, { json: { ...reset, twofa } })
  await ask('Every session from before has ended', 'GET /v1/user', 401, { token })
}

async function leaving({ ask, must, mailedCode, control }: Teller): Promise<void> {
  await control('POST', '/clock', { advanceMs: 30_000 })
  const bob = { username: 'bob', email: 'bob@mail.example', password: 'Hello123!' }
  const login = { username: bob.username, password: bob.password }
  await ask('Bob registers', 'POST /rest/users', 201, { json: bob })
  const code = await mailedCode(bob.email)
  await ask('confirms his address', 'POST /v1/auth/activate', 200, { json: { code } })
  const { accessToken: token } = await ask('and signs in', 'POST /v1/auth/login', 200, { json: login })
  const key = await ask('He creates an application key', 'POST /v1/keys', 201, {
    token,
    json: { name: 'laptop' },
  })
  const list = await ask('A list shows how it begins and ends, no more', 'GET /v1/keys', 200, { token })
  must(!JSON.stringify(list).includes(key.key), 'the whole key was shown once')

  const { _id: accountId } = await ask('He reads his account', 'GET /api/users/current', 200, { token })
  const detail = { accountId, messageType: 'invite', message: 'You invited to join Dev team.' }
  await control('POST', '/events', { id: 'demo-1', 'detail-type': 'bursar.notice', detail })
  await control('POST', '/events', { id: 'demo-1', 'detail-type': 'bursar.notice', detail })
  const notices = await ask(
    'Another system told him something, twice',
    'GET /api/users/current/notifications',
    200,
    { token },
  )
  const types = notices.map(({ messageType }: { messageType: string }) => messageType)
  must(types.join() === 'invite,key-created', 'the same event is one notice, and his key is one')

  await ask('He deactivates his account', 'PUT /api/users/current/deactivate', 200, { token })
  await ask('Nothing works with it', 'GET /v1/user', 403, { token })
  await ask('until he restores it', 'POST /api/users/restore', 200, { json: login })
  await ask('His token of before stays dead', 'GET /v1/user', 401, { token })
  await ask('He signs in anew', 'POST /v1/auth/login', 200, { json: login })
}

async function cards({ ask, must, mailedCode, control, waitFor }: Teller): Promise<void> {
  const cleo = { username: 'cleo', email: 'cleo@mail.example', password: 'Hello123!' }
  const card = (paymentMethod: string) => ({ token, json: { paymentMethod } })
  const signIn = async (title: string) =>
    (await ask(title, 'POST /v1/auth/login', 200, { json: login })).accessToken
  const verify = 'POST /api/users/current/verify-payment'
  await ask('Cleo registers', 'POST /rest/users', 201, { json: cleo })
  const login = { username: cleo.username, password: cleo.password }
  await ask('Before her address is confirmed nobody signs in', 'POST /v1/auth/login', 403, { json: login })
  const code = await mailedCode(cleo.email)
  await ask('so she confirms it', 'POST /v1/auth/activate', 200, { json: { code } })
  const token = await signIn('and signs in')
  await ask(
    'A good card is proved with a small amount that is held and released',
    verify,
    200,
    card('pm_card_visa'),
  )
  await ask('A declined one is refused', verify, 402, card('pm_card_chargeDeclined'))

  const asked = await ask('A third asks for 3-D Secure', verify, 402, card('pm_card_authenticationRequired'))
  const paymentIntent = String(asked.clientSecret).split('_secret_')[0]
  await control('POST', '/stripe/authenticate', { paymentIntent, outcome: 'succeed' })
  const path = '/api/users/current/list-payment-methods'
  await waitFor(path, token, (list) => list.data.length === 2)
  const cardsOnFile = async () => (await ask('She lists her cards', `GET ${path}`, 200, { token })).data
  const listed = await cardsOnFile()
  must(listed.length === 2, 'the card that asked is on file too: the webhook finished what she had begun')

  const customer = await ask('She reads her payment account', 'GET /api/users/current/retrieve', 200, {
    token,
  })
  const first = customer.invoice_settings.default_payment_method
  must(
    listed.some((each: { id: string }) => each.id === first),
    'her first card is the default one',
  )
  await ask('She removes it', `DELETE /api/users/current/payment-method/${first}`, 204, { token })
  must((await cardsOnFile()).length === 1, 'it is gone')
}

async function quota({ ask, must, mailedCode, control }: Teller): Promise<void> {
  await control('POST', '/clock', { advanceMs: 30_000 })
  const dan = { username: 'dan', email: 'dan@mail.example', password: 'Hello123!' }
  const login = { username: dan.username, password: dan.password }
  await ask('Dan registers', 'POST /rest/users', 201, { json: dan })
  const code = await mailedCode(dan.email)
  await ask('confirms his address, which grants 100 units', 'POST /v1/auth/activate', 200, { json: { code } })
  const { accessToken: token } = await ask('and signs in', 'POST /v1/auth/login', 200, { json: login })
  const address = { street: 'Main st. 1', city: 'York', postCode: 'YO31 8SB', country: 'GB' }
  const json = { name: 'STARTER', paymentMethod: 'pm_card_visa', address }
  await ask('He signs up for a bundle', 'POST /v1/user/bundle', 204, { token, json })
  await ask('A second click is no second charge', 'POST /v1/user/bundle', 204, { token, json })
  const { bundle, apiKey } = await ask('He reads his account', 'GET /v1/user', 200, { token })
  must(bundle.quota === 1100, 'the 1,000 units of the bundle came on top, once')

  const spend = (title: string, units: number, requestId: string, status = 200) =>
    ask(title, 'POST /v1/usage', status, { token: apiKey, json: { units, requestId } })
  await spend('His service spends units with his application key', 1020, 'call-1')
  const again = await spend('The same request again spends nothing', 1020, 'call-1')
  must(again.left === 80, '80 units are left')
  await control('POST', '/jobs/check-quotas')
  const notices = async (title: string): Promise<string[]> =>
    (await ask(title, 'GET /api/users/current/notifications', 200, { token })).map(
      ({ messageType }: { messageType: string }) => messageType,
    )
  must((await notices('The schedule has looked'))[0] === 'low_quota', 'less than 10 % is left: he is told so')

  await spend('More than is left is refused, nothing is spent, and a renewal is called', 81, 'call-2', 402)
  await control('POST', '/jobs/check-quotas')
  must((await notices('The schedule has looked again'))[0] === 'renewed', 'the bundle renews itself')
  const { left } = await spend('and his service goes on', 5, 'call-4')
  must(left === 1075, 'with the units of the renewal')
  await reports(apiKey, must)
  const [invoice, ...others] = await ask('He lists his invoices', 'GET /v1/invoice/list', 200, { token })
  must(others.length === 1, 'one for each charge')
  const read = await ask('and reads the newest', `GET /v1/invoice/${invoice.id}`, 200, { token })
  must(read.description === 'STARTER (1,000 units)' && read.status === 'succeeded', 'it is paid')
  const ledger: { amount: number; currency: string; units: number }[] = await ask(
    'His statement',
    'GET /v1/ledger',
    200,
    {
      token,
    },
  )
  const sum = (values: number[]) => values.reduce((all, each) => all + each, 0)
  const cents = sum(ledger.map(({ amount, currency }) => centsOf(amount, currency)))
  const units = sum(ledger.map((entry) => entry.units))
  must(cents === 0 && units === 2100, 'sums to his balance, and to the units left and used')
}

/** A company's API behind the meter, which charges 2 units for a report. */
async function reports(key: string, must: Teller['must']): Promise<void> {
  const units = meter({ url: server.url, timeoutMs: 10_000 })
  const api = new Hono()
  api.use('/reports/*', units.hono({ units: 2 }))
  api.get('/reports/:id', (c) => c.json({ report: c.req.param('id') }))
  const read = (headers: Record<string, string>) => api.request('/reports/7', { headers })
  const { status } = await read({})
  const headers = { 'x-api-key': key, 'idempotency-key': 'of-the-customer' }
  const answers = await Promise.all(Array.from({ length: 20 }, () => read(headers)))
  await units.close()
  const left = Math.min(...answers.map((answer) => Number(answer.headers.get('x-units-left'))))
  must(
    status === 401 && left === 1035,
    'An API behind the meter charges each of 20 calls at once, and none without a key',
  )
}

const chapters: [string, (teller: Teller) => Promise<void>][] = [
  ['Ada: an account in three dialects, and its sessions', account],
  ['Ada: a second factor, and a forgotten password', credentials],
  ['Bob: application keys, notices, leaving and coming back', leaving],
  ['Cleo: cards, with 3-D Secure', cards],
  ['Dan: a bundle, its units, renewal and invoices', quota],
]

if (process.argv.includes('--watch')) {
  const { watch } = await import('./watch.ts')
  const failure = await watch().then(
    () => undefined,
    (error: Error) => error,
  )
  if (failure) console.error(`The story cannot be shown. ${failure.message} Without --watch it plays here.`)
  process.exit(failure ? 1 : 0)
}

const startedMs = performance.now()
const server = await startServer({ port: 0, schedule: false, reload: false, quiet: true })
try {
  const tell = teller(server.url, { verbose: process.argv.includes('--verbose') })
  const summary: string[] = []
  for (const [title, play] of chapters) {
    console.log(`\n${styleText('bold', title)}`)
    await play(tell)
    const { requests, checks } = tell.counts()
    summary.push(`  ✓ ${title.padEnd(58)} ${requests} requests, ${checks} checks`)
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`\n${styleText('bold', `What went as it should, in ${seconds} s`)}\n${summary.join('\n')}`)
  console.log('\nEvery request with its answer: npm run demo -- --verbose. Your own requests: npm run dev.')
  console.log('The story went as expected.')
} catch (error) {
  console.error(`\nThe story stopped. ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await server.close()
}
