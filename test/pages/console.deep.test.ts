import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { TOTP } from 'otpauth'
import type { Locator, Page } from 'playwright-core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Role } from '../../core/operators/operator.ts'
import { alarmsOf } from '../../functions/deploy/alarms.ts'
import { buildPages } from '../../functions/deploy/build-pages.ts'
import { signRequest } from '../../functions/ops/command/sign.ts'
import { paths } from '../../functions/pages/console/paths.ts'
import { REGION } from '../local/event.ts'
import { pagesForTests, shoot, violationsOf } from '../support/pages.ts'

const stack = pagesForTests()

const PASSWORD = 'Hello123!'
const CODE = /\b[0-9a-f]{32}\b/
const ADDRESS = {
  company: 'GreenCloud',
  street: 'Main st.',
  city: 'York',
  postCode: 'YO31 8SB',
  country: 'GB',
}

interface Customer {
  username: string
  email: string
  token: string
}

async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(stack.api() + path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** The code that a registration has mailed before it is answered. */
async function mailedCode(email: string): Promise<string> {
  const [mail] = await stack.control<{ text: string }[]>('GET', `mail?to=${email}`)
  return CODE.exec(mail?.text ?? '')?.[0] ?? ''
}

/** Somebody who has registered, confirmed and signed in. */
async function customer(username: string): Promise<Customer> {
  const email = `${username}@mail.example`
  await ask('POST', '/rest/users', { username, email, password: PASSWORD })
  await ask('POST', '/v1/auth/activate', { code: await mailedCode(email) })
  const { accessToken } = await ask('POST', '/v1/auth/login', { email, password: PASSWORD })
  return { username, email, token: accessToken }
}

/** Somebody with a bundle that was paid for. */
async function buyer(username: string): Promise<Customer & { key: string }> {
  const who = await customer(username)
  const { stripe } = await ask('GET', '/_local')
  const card = {
    type: 'card',
    'card[number]': '4242424242424242',
    'card[exp_month]': '12',
    'card[exp_year]': '2034',
  }
  const answer = await fetch(`${stripe}/v1/payment_methods`, {
    method: 'POST',
    headers: bearer('sk_test_Local0001'),
    body: new URLSearchParams({ ...card, 'card[cvc]': '123' }),
  })
  const { id } = (await answer.json()) as { id: string }
  await ask(
    'POST',
    '/v1/user/bundle',
    { name: 'STARTER', paymentMethod: id, address: ADDRESS },
    bearer(who.token),
  )
  const { apiKey } = await ask('GET', '/v1/user', undefined, bearer(who.token))
  return { ...who, key: apiKey }
}

const now = async (): Promise<number> => (await ask('GET', '/_local')).now
const advance = (ms: number) => stack.control('POST', 'clock', { advanceMs: ms })
const job = (name: string) => stack.control('POST', `jobs/${name}`)

/** The app's next code, which no step before has shown. */
async function nextCode(seed: string): Promise<string> {
  await advance(30_000)
  return new TOTP({ secret: seed }).generate({ timestamp: await now() })
}

async function withAuthenticator({ token }: Customer): Promise<string> {
  const { seed } = await ask('POST', '/v1/auth/2FA', {}, bearer(token))
  await ask('POST', '/v1/auth/verify2FA', { code: await nextCode(seed) }, bearer(token))
  return seed
}

/** An account that is an operator, which the first admin makes with AWS credentials. @returns the seed of its codes */
async function operator(username: string, role: Role): Promise<string> {
  const seed = await withAuthenticator(await customer(username))
  const { admin } = await stack.control<{ admin: { accessKeyId: string; secretAccessKey: string } }>(
    'GET',
    'operators',
  )
  const body = { account: username, role, reason: 'works here' }
  const url = new URL('/ops/admin/operators', stack.api())
  const unsigned = { method: 'POST', url, body: JSON.stringify(body) }
  await ask('POST', url.pathname, body, signRequest({ ...admin, region: REGION }, unsigned, await now()))
  return seed
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true })
const dialog = (page: Page): Locator => page.getByRole('dialog').last()

async function signIn(page: Page, name: string, seed: string): Promise<void> {
  await page.goto(paths.home)
  await page.getByLabel('E-mail address or username').fill(name)
  await page.getByLabel('Password').fill(PASSWORD)
  await button(page, 'Sign in').click()
  await page.getByLabel('Two-factor code').fill(await nextCode(seed))
  await button(page, 'Sign in').click()
  await page.getByRole('heading', { name: 'Find', exact: true }).waitFor()
}

/** Types into the search box, as the key that leads there allows. */
async function find(page: Page, query: string, username: string): Promise<void> {
  await page.locator('body').press('/')
  await page.keyboard.type(query)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: username, exact: true, level: 1 }).waitFor()
}

interface Step {
  /** Fills the dialog's own fields. */
  fields?: (open: Locator) => Promise<unknown>
  /** What the dialog says before. */
  says?: RegExp
  /** What it says after. */
  done: RegExp
  /** What has changed: label, before, after. */
  changes?: RegExp
  /** The button in the dialog, if not as the one that opens it. */
  submit?: string
}

/** Does one action of the console, through its dialog. */
async function act(
  page: Page,
  name: string | RegExp,
  { fields, says = /./, done, changes, submit }: Step,
): Promise<void> {
  await button(page, name).click()
  const open = dialog(page)
  await fields?.(open)
  await open.getByText(says).first().waitFor()
  await open.getByLabel('Reason').fill('Ticket 4711')
  await open.getByRole('button', { name: submit ?? String(name), exact: true }).click()
  await open.getByRole('status').filter({ hasText: done }).waitFor()
  if (changes) await open.getByRole('row', { name: changes }).waitFor()
  await open.getByRole('button', { name: 'Close', exact: true }).last().click()
  await open.waitFor({ state: 'detached' })
}

let seeds: Record<Role, string>
beforeAll(async () => {
  seeds = {
    admin: await operator('grace', 'admin'),
    support: await operator('hedy', 'support'),
    read: await operator('mary', 'read'),
  }
})
afterEach(() => expect(stack.problems()).toEqual([]))

describe('ten requests to support are lived in the console alone', () => {
  let page: Page
  beforeAll(async () => {
    page = await stack.open()
    await signIn(page, 'hedy', seeds.support)
  })

  test('1. “no mail arrives”: the address that bounced gets mail again', async () => {
    const email = 'bounced@mail.example'
    await ask('POST', '/rest/users', { username: 'bounced', email, password: PASSWORD })
    await mailedCode(email)
    await stack.control('POST', 'mail/events', { to: email, event: 'bounce' })
    await find(page, email, 'bounced')
    await page.getByText('mail comes back').first().waitFor()
    await act(page, 'Resend mail', { done: /On its way.*may get mail again/, changes: /Mail arrives .* yes/ })
  })

  test('2. “I am locked out”: wrong passwords count anew', async () => {
    await customer('locked')
    await find(page, 'locked', 'locked')
    await act(page, 'Unlock', { says: /Wrong passwords and codes of locked/, done: /Unlocked/ })
  })

  test('3. “my phone is gone”: two-factor ends after 72 hours, and the owner can stop that by a call', async () => {
    const who = await customer('phoneless')
    await withAuthenticator(who)
    await find(page, who.email, 'phoneless')
    await act(page, 'Reset two-factor', {
      says: /told for 72 hours/,
      done: /It waits until/,
      changes: /Two-factor ends/,
    })
    await act(page, 'Stop the reset', { done: /stays as it is/, changes: /Two-factor ends .* no/ })
    await act(page, 'Reset two-factor', {
      fields: (open) => open.getByLabel('Other proof of who asks').fill('passport seen in a video call'),
      says: /removed at once/,
      done: /is off/,
      changes: /Authenticator on off/,
    })
  })

  test('4. “I cannot reach my old mailbox”: a code goes to the new address', async () => {
    const who = await customer('moved')
    await find(page, who.email, 'moved')
    await act(page, 'Change address', {
      fields: async (open) => {
        await open.getByLabel('New e-mail address').fill('new@mail.example')
        await open.getByLabel('Other proof of who asks').fill('answered the questions')
      },
      says: /moved@mail.example stays until it is used/,
      done: /A code is on its way/,
    })
    await act(page, 'Keep address', { done: /stays as it is/ })
  })

  test('5. “I was charged twice”: the payment leads to the account, and the money goes back once', async () => {
    const who = await buyer('charged')
    await find(page, who.email, 'charged')
    const payment = (await page.getByText(/^pi_/).first().innerText()).trim()
    await page.getByRole('link', { name: 'Find', exact: true }).click()
    await find(page, payment, 'charged')
    await act(page, /^Refund: /, {
      submit: 'Refund',
      says: /\$0\.99 goes back to the card of charged/,
      done: /\$0\.99 went back/,
      changes: /Refunded in all \$0\.00 \$0\.99/,
    })
    expect(await button(page, /^Refund: /).count()).toBe(0)
  })

  test('6. “units are missing”: they are given, and too many are taken back', async () => {
    await find(page, 'charged', 'charged')
    await act(page, 'Give units', {
      fields: (open) => open.getByLabel('Units', { exact: true }).fill('500'),
      says: /will have 600/,
      done: /600 units are left/,
      changes: /Units left 100 600/,
    })
    await act(page, 'Take units', {
      fields: (open) => open.getByLabel('Units', { exact: true }).fill('50'),
      says: /will have 550/,
      done: /550 units are left/,
      changes: /Units left 600 550/,
    })
  })

  test('7. “my key is on the internet”: its ends lead to the account, which is suspended and then resumed', async () => {
    const who = await buyer('leaked')
    // A whole key is cut to its ends in the browser, so that it is in no address and no log.
    const asked = page.waitForRequest((request) => request.url().includes('/console/read/find'))
    await find(page, who.key, 'leaked')
    expect((await asked).url()).not.toContain(who.key)
    await act(page, 'Suspend', {
      says: /can neither sign in nor spend/,
      done: /suspended/,
      changes: /Standing active suspended/,
    })
    await act(page, 'Resume', { done: /has ended/, changes: /Standing suspended active/ })
  })

  test('8. “somebody else is signed in”: every session ends', async () => {
    await customer('watched')
    await find(page, 'watched', 'watched')
    await act(page, 'Sign out everywhere', { done: /1 session has ended/, changes: /Sessions 1 0/ })
  })

  test('9. “what do you know about me”: everything that is stored is in one file', async () => {
    await find(page, 'charged', 'charged')
    const saved = page.waitForEvent('download')
    await act(page, 'Export', { done: /The export is in charged.json/ })
    const exported = JSON.parse(await readFile(await (await saved).path(), 'utf8'))
    expect([exported.next, JSON.stringify(exported).includes('charged@mail.example')]).toEqual([
      undefined,
      true,
    ])
  })

  test('10. “close my account”: it is closed, and opened again when its owner thinks better of it', async () => {
    await customer('leaving')
    await find(page, 'leaving', 'leaving')
    await act(page, 'Close account', {
      says: /erased after 30 days/,
      done: /It is erased on/,
      changes: /Standing active closing/,
    })
    await act(page, 'Reopen', { done: /is active/, changes: /Standing closing active/ })
  })
})

test('a lost answer asks for the same request again, which moves units once', async () => {
  const page = await stack.open()
  await signIn(page, 'hedy', seeds.support)
  await customer('lost')
  await find(page, 'lost', 'lost')
  const names: (string | undefined)[] = []
  let isLost = true
  await page.route('**/grant', async (route) => {
    names.push(route.request().headers()['idempotency-key'])
    const answer = await route.fetch()
    if (isLost) await route.fulfill({ status: 503, body: '' })
    else await route.fulfill({ response: answer })
  })
  await button(page, 'Give units').click()
  const open = dialog(page)
  await open.getByLabel('Units', { exact: true }).fill('500')
  await open.getByLabel('Reason').fill('Ticket 4711')
  await open.getByRole('button', { name: 'Give units' }).click()
  await open.getByText('It may have been done').waitFor()
  isLost = false
  await open.getByRole('button', { name: 'Send again' }).click()
  await open.getByText('An earlier copy of the request had done it').waitFor()
  await open.getByRole('row', { name: /Units left 100 600/ }).waitFor()
  expect([new Set(names).size, names.length > 1, names[0]]).toEqual([1, true, expect.any(String)])
  // Chromium notes the answers that this test has made.
  stack.problems()
})

test('a proof that is ten minutes old, and a sign-in that is eight hours old, are asked for again; nothing typed is lost', async () => {
  const page = await stack.open()
  await signIn(page, 'hedy', seeds.support)
  await customer('patient')
  await find(page, 'patient', 'patient')
  await button(page, 'Give units').click()
  const first = page.getByRole('dialog').first()
  await first.getByLabel('Units', { exact: true }).fill('7')
  await first.getByLabel('Reason').fill('Ticket 4711')
  await advance(11 * 60_000)
  await first.getByRole('button', { name: 'Give units' }).click()
  await page.getByRole('heading', { name: 'Is it still you?' }).waitFor()
  await page.getByLabel('Two-factor code').fill(await nextCode(seeds.support))
  await button(page, 'Continue').click()
  await first.getByText('107 units are left now').waitFor()
  await first.getByRole('button', { name: 'Close', exact: true }).last().click()

  await advance(8 * 3_600_000)
  await page.getByRole('link', { name: 'Accounts', exact: true }).click()
  await page.getByRole('heading', { name: 'Please sign in again' }).waitFor()
  await page.getByLabel('E-mail address or username').fill('hedy')
  await page.getByLabel('Password').fill(PASSWORD)
  await button(page, 'Sign in').click()
  await page.getByLabel('Two-factor code').fill(await nextCode(seeds.support))
  await button(page, 'Sign in').click()
  await page.getByRole('link', { name: 'patient' }).waitFor()
})

test('the role decides what is shown, and an account that is no operator is told so', async () => {
  const page = await stack.open()
  await signIn(page, 'mary', seeds.read)
  await customer('seen')
  await find(page, 'seen', 'seen')
  await page.getByRole('region', { name: 'Timeline' }).first().waitFor()
  for (const name of ['Suspend', 'Give units', 'Erase now', 'Export'])
    expect(await button(page, name).count()).toBe(0)
  await page.goto(paths.blocks)
  await page.getByRole('heading', { name: 'Mail domains' }).waitFor()
  await page.getByText('No card is blocked.').waitFor()
  for (const name of ['Block a card', 'Set a rule']) expect(await button(page, name).count()).toBe(0)

  const other = await stack.open()
  const seed = await withAuthenticator(await customer('nobody'))
  await other.goto(paths.home)
  await other.getByLabel('E-mail address or username').fill('nobody')
  await other.getByLabel('Password').fill(PASSWORD)
  await button(other, 'Sign in').click()
  await other.getByLabel('Two-factor code').fill(await nextCode(seed))
  await button(other, 'Sign in').click()
  await other.getByText('Your account is no operator').waitFor()
})

test('plans are compared and put on sale, coupons made and stopped, cards and domains blocked, events tested and replayed, operators added', async () => {
  const page = await stack.open()
  await signIn(page, 'grace', seeds.admin)
  const go = (name: string) =>
    page.getByRole('navigation', { name: 'Menu' }).getByRole('link', { name, exact: true }).click()

  await go('Plans')
  const json = page.getByLabel('Plans as JSON')
  await json.fill('{')
  await button(page, 'Compare').click()
  await page.getByText('This is no JSON').waitFor()
  const { catalogue } = await ask('GET', '/console/read/plans', undefined, bearer(await tokenOf('grace')))
  await json.fill(JSON.stringify({ ...catalogue, trialUnits: catalogue.trialUnits + 1 }))
  await button(page, 'Compare').click()
  await page.getByRole('row', { name: /trialUnits/ }).waitFor()
  await act(page, 'Put on sale', { says: /1 change goes on sale/, done: /Version 1 is on sale/ })
  await page.getByRole('heading', { name: 'On sale: version 1' }).waitFor()

  await go('Coupons')
  await act(page, 'Make a coupon', {
    fields: async (open) => {
      await open.getByLabel('Code').fill('LAUNCH')
      await open.getByLabel('How much').fill('20')
    },
    says: /20 per cent off/,
    done: /LAUNCH can be redeemed/,
  })
  await act(page, 'Stop: LAUNCH', {
    submit: 'Stop',
    done: /LAUNCH is stopped/,
    changes: /State live stopped/,
  })

  await go('Blocks')
  await page.getByText('No card is blocked.').waitFor()
  await page.getByText('No domain has a rule').waitFor()
  const blockCard = (card: string) =>
    act(page, 'Block a card', {
      fields: (open) => open.getByLabel('Card').fill(card),
      says: /Nothing more is charged to it in any account/,
      done: /The card [\w-]{24} is blocked/,
    })
  await blockCard('a1B2c3D4e5F6g7H8')
  await page.getByRole('row', { name: /an operator/ }).waitFor()
  await act(page, /^Unblock: /, {
    submit: 'Unblock',
    says: /Every account can buy with it again\.$/,
    done: /Every account can buy with the card [\w-]{24} again/,
  })
  await page.getByText('No card is blocked.').waitFor()
  await blockCard('a1B2c3D4e5F6g7H8')
  const ruleDomain = (domain: string, rule: 'refused' | 'let in') =>
    act(page, 'Set a rule', {
      fields: async (open) => {
        await open.getByLabel('Domain').fill(domain)
        await open.getByLabel('Rule').selectOption({ label: rule })
      },
      says: new RegExp(rule === 'refused' ? `register with an address of ${domain}` : `${domain} are let in`),
      done: new RegExp(`New addresses of ${domain} are ${rule}`),
    })
  await ruleDomain('spam.example', 'refused')
  await ruleDomain('mailinator.com', 'let in')
  await act(page, 'Remove: mailinator.com', { submit: 'Remove', done: /has no rule any more/ })
  await button(page, 'Remove: mailinator.com').waitFor({ state: 'detached' })
  await button(page, 'Set a rule').click()
  await dialog(page).getByLabel('Domain').fill('no domain')
  await dialog(page).getByLabel('Reason').fill('Ticket 4711')
  await dialog(page).getByRole('button', { name: 'Set a rule', exact: true }).click()
  await dialog(page).getByText('must be a domain').waitFor()
  await dialog(page).getByRole('button', { name: 'Cancel', exact: true }).click()

  await go('Events')
  await act(page, 'Add an endpoint', {
    fields: (open) => open.getByLabel('Address').fill('https://hooks.mail.example/events'),
    done: /gets events/,
  })
  const about = 'https://hooks.mail.example/events'
  await act(page, `Test: ${about}`, { submit: 'Test', done: /It has not arrived/ })
  await act(page, `Disable: ${about}`, {
    submit: 'Disable',
    done: /Nothing is sent/,
    changes: /State enabled disabled/,
  })
  await act(page, `Enable: ${about}`, {
    submit: 'Enable',
    done: /gets events again/,
    changes: /State disabled enabled/,
  })
  await act(page, `Rotate: ${about}`, { submit: 'Rotate', done: /The old secret signs/ })
  // What happens once there is an endpoint is what a replay has.
  await customer('newcomer')
  await job('publish-events')
  // The clock of this file may have passed midnight since the first registration.
  const since = new Date((await now()) - 86_400_000).toISOString().slice(0, 10)
  await act(page, `Replay: ${about}`, {
    submit: 'Replay',
    fields: (open) => open.getByLabel('Since').fill(since),
    done: /[1-9]\d* events? (is|are) sent again/,
  })
  await page.getByRole('link', { name: 'Deliveries' }).click()
  await page.getByRole('cell', { name: 'account.registered' }).first().waitFor()

  await go('Operators')
  await act(page, 'Add an operator', {
    fields: (open) => open.getByLabel('Username, address or id').fill('newcomer'),
    done: /newcomer is an operator with the role support/,
  })
  await act(page, 'Remove: newcomer', {
    submit: 'Remove',
    done: /no operator any more/,
    changes: /State in force ended/,
  })
  await act(page, 'Make an admin key', {
    fields: (open) => open.getByLabel('Name').fill('crm'),
    done: /The key crm works/,
  })

  await go('Audit log')
  await page.getByRole('heading', { name: 'What grace has done' }).waitFor()
  await page
    .getByRole('row', { name: /newcomer|operator/i })
    .first()
    .waitFor()
})

/** A token of an operator's own, as programs have it. */
async function tokenOf(username: string): Promise<string> {
  const twofa = await nextCode(seeds.admin)
  const { accessToken } = await ask('POST', '/v1/auth/login', { username, password: PASSWORD, twofa })
  return accessToken
}

describe('every page', () => {
  const PHONE = { width: 390, height: 844 }
  const DESK = { width: 1280, height: 800 }

  test.each([
    ['light', 'at a desk', DESK],
    ['dark', 'at a desk', DESK],
    ['dark', 'on a phone', PHONE],
  ] as const)(
    'has no violation that axe finds and fits, in %s colours, %s',
    async (colorScheme, place, viewport) => {
      const page = await stack.open({ colorScheme, viewport })
      const found: Record<string, string[]> = {}
      const look = async (name: string) => {
        await page.getByRole('heading', { level: 1 }).waitFor()
        await page.locator('.loading').first().waitFor({ state: 'detached' })
        const width = Number(await page.evaluate('document.documentElement.scrollWidth'))
        const tooWide = width > viewport.width ? [`is ${width} wide`] : []
        found[name] = [...(await violationsOf(page)), ...tooWide]
        if (colorScheme === 'light') await shoot(page, `console-${name}`)
      }
      await page.goto(paths.home)
      await button(page, 'Sign in').waitFor()
      await look('sign-in')
      await signIn(page, 'grace', seeds.admin)
      const who = await buyer(`shown-${colorScheme}-${viewport.width}`)
      for (const name of ['publish-events', 'send-mail']) await job(name)
      await find(page, who.email, who.username)
      const id = new URL(page.url()).searchParams.get('id')
      const queries: Partial<Record<string, string>> = { account: `?id=${id}` }
      for (const [name, path] of Object.entries(paths)) {
        await page.goto(path + (queries[name] ?? ''))
        await look(name)
      }
      await page.goto(`${paths.account}?id=${id}`)
      await button(page, 'Give units').click()
      await dialog(page).getByLabel('Units', { exact: true }).fill('500')
      await look('action')
      expect([place, found]).toEqual([
        place,
        Object.fromEntries(Object.keys(found).map((name) => [name, []])),
      ])
    },
  )

  test('says so when the API does not answer, and goes on when it does again', async () => {
    const page = await stack.open()
    await signIn(page, 'grace', seeds.admin)
    for (const name of [
      'accounts',
      'totals',
      'plans',
      'coupons',
      'blocks',
      'events',
      'audit',
      'operators',
    ] as const) {
      await page.route('**/console/read/**', (route) => route.abort())
      await page.locator(`#side a[href="${paths[name]}"]`).click()
      await page.getByRole('alert').filter({ hasText: 'No connection' }).first().waitFor()
      await page.unroute('**/console/read/**')
      // A person may ask again; a browser that hears of its network does so by itself, for everything on the page.
      // Parts of a page may fail after one another, and each is asked for again.
      const failures = page.getByRole('alert').filter({ hasText: 'No connection' })
      if (name === 'accounts') await button(page, 'Try again').click()
      await expect
        .poll(
          async () => {
            await page.evaluate("dispatchEvent(new Event('online'))")
            return failures.count()
          },
          { timeout: 60_000 },
        )
        .toBe(0)
    }
    stack.problems()
  })

  test('is in German too', async () => {
    const page = await stack.open({ locale: 'de-DE' })
    await page.goto(paths.home)
    await button(page, 'Anmelden').waitFor()
    expect(await page.evaluate('document.documentElement.lang')).toBe('de')
  })
})

test('the console explains every alarm of the deployment', async () => {
  const page = await stack.open()
  await signIn(page, 'grace', seeds.admin)
  await page.goto(paths.health)
  await page.getByText(/^Single functions/).click()
  for (const { name, sentence } of alarmsOf('bursar-<stage>', '<region>')) {
    expect([name, await page.getByText(sentence, { exact: true }).count()]).toEqual([name, 1])
  }
})

test('the first load of the console is at most 80 KB with gzip', async () => {
  const { files, outputs } = await buildPages()
  const [entry] =
    Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith('console/main.tsx')) ?? []
  const load = new Set<string>()
  const add = (path: string) => {
    if (load.has(path)) return
    load.add(path)
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement') add(next.replace(/^.*?assets\//, 'assets/'))
  }
  add(entry ?? '')
  // Of the languages a person loads one, and the stylesheet.
  const more = Object.keys(outputs).filter((path) => {
    const { entryPoint = '' } = outputs[path] ?? {}
    return entryPoint.endsWith('console/messages/de.ts') || /^assets\/console-\w+\.css$/.test(path)
  })
  for (const path of more) add(path)
  const bytes = [...load].reduce(
    (sum, path) => sum + gzipSync(files.get(`/${path}`) ?? new Uint8Array()).length,
    0,
  )
  expect(more).toHaveLength(2)
  expect(bytes).toBeGreaterThan(20_000)
  expect(bytes).toBeLessThanOrEqual(80 * 1024)
})
