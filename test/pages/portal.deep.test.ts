import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'

import { paths } from '../../functions/pages/portal/paths.ts'
import { pagesUrl } from '../local/pages-url.ts'
import { pagesForTests, shoot, violationsOf } from '../support/pages.ts'
import { button, confirm, go, liveALife, PASSWORD, register, signUp, useKeyboard } from '../support/story.ts'

const stack = pagesForTests()

const of = (page: Page) => stack.personAt(page)

test('the whole life of an account is lived by its pages alone: from registration by a renewal with 3-D Secure to deletion', async () => {
  await liveALife({ ...(await stack.person()), shoot })
  expect(stack.problems()).toEqual([])
})

test('the same life is lived by keyboard alone', async () => {
  const person = await stack.person()
  useKeyboard(person.page)
  await liveALife(person, 'keys')
  expect(stack.problems()).toEqual([])
})

describe('every page', () => {
  /** What each page with a parameter shows here. */
  const examples: Record<string, string> = { id: '000000000000000000000000', code: 'a'.repeat(32) }
  const open = [
    'signIn',
    'register',
    'confirm',
    'reset',
    'recovery',
    'stopRecovery',
    'stopRenewal',
    'allowRenewal',
    'invitation',
  ]
  const fill = (path: string) => path.replace(/:(\w+)/, (_, name: string) => examples[name] ?? '')

  /** Shows a page in both themes, and says what axe finds on it. */
  async function look(page: Page, name: string): Promise<string[]> {
    await page.goto(fill(paths[name as keyof typeof paths]))
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.waitForLoadState('networkidle')
    // The story has pictures of these when there is something on them.
    if (!['overview', 'usage', 'statement'].includes(name)) await shoot(page, `portal-${name}`)
    const light = await violationsOf(page)
    await page.emulateMedia({ colorScheme: 'dark' })
    const dark = await violationsOf(page)
    await page.emulateMedia({ colorScheme: 'light' })
    return [...light, ...dark].map((text) => `${name}: ${text}`)
  }

  test('before the account has no violation that axe can find in either theme, and no error in the console', async () => {
    const page = await stack.open()
    const found: string[] = []
    for (const name of open) found.push(...(await look(page, name)))
    expect(found).toEqual([])
    expect(stack.problems()).toEqual([])
  })

  test('of the account has no violation that axe can find in either theme, and no error in the console', async () => {
    const page = await stack.open()
    await signUp(of(page), 'reader')
    const found: string[] = []
    for (const name of Object.keys(paths)) {
      if (!open.includes(name)) found.push(...(await look(page, name)))
    }
    expect(found).toEqual([])
    expect(stack.problems()).toEqual([])
  })

  test('fits the width of a phone, where the navigation is behind a button', async () => {
    const page = await stack.open({ viewport: { width: 360, height: 740 }, hasTouch: true })
    await signUp(of(page), 'phone')
    const wide: string[] = []
    for (const [name, path] of Object.entries(paths)) {
      if (open.includes(name)) continue
      await page.goto(fill(path))
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.waitForLoadState('networkidle')
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      if (Number(overflow) > 0) wide.push(`${name} by ${overflow} px`)
    }
    expect(wide).toEqual([])
    await page.goto(paths.overview)
    await button(page, 'Menu').click()
    await go(page, 'Cards')
    expect(await page.getByRole('link', { name: 'Usage' }).isVisible()).toBe(false)
    await shoot(page, 'portal-phone')
  })

  test('speaks German to a browser that does, and mirrors from right to left', async () => {
    const page = await stack.open({ locale: 'de-DE' })
    await page.goto(paths.signIn)
    await page.getByRole('heading', { name: 'Anmelden' }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('de')
    await page.evaluate('document.documentElement.dir = "rtl"')
    expect(Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'))).toBe(0)
    await button(page, 'English').click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })
})

test('who signs in before the address is confirmed is asked for the code, and can correct the address', async () => {
  const page = await stack.open()
  await page.goto(paths.register)
  await register(page, 'mistyped', 'mistyped@mial.example')
  await page.goto(paths.signIn)
  await page.getByLabel('E-mail address or username').fill('mistyped')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await button(page, 'Sign in').click()
  await page.getByRole('heading', { name: 'Confirm your address' }).waitFor()
  await shoot(page, 'portal-unconfirmed')
  await page.getByRole('link', { name: 'Register again with the same name and password' }).click()
  await register(page, 'mistyped', 'mistyped@mail.example')
  await confirm(of(page), 'mistyped@mail.example')
  expect(stack.problems()).toEqual([])
})

test('a form is filled in and sent by keyboard alone', async () => {
  const page = await stack.open()
  await signUp(of(page), 'keys-only')
  await page.keyboard.press('Tab')
  await page.goto(paths.profile)
  await page.getByLabel('Full name').waitFor()
  await page.keyboard.press('Tab')
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content')
  await page.keyboard.press('Enter')
  await tabTo(page, 'Full name')
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.type('Keys Only')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.getByText('Saved.').waitFor()
  await tabTo(page, 'Deactivate my account')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.waitForFunction("document.activeElement.textContent === 'Deactivate my account'")
})

/** Presses Tab until a control with the label or the text has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  const focused = () =>
    page.evaluate<string>('(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()')
  for (let presses = 0; presses < 60 && (await focused()) !== name; presses++)
    await page.keyboard.press('Tab')
  expect(await focused()).toBe(name)
}

describe('when something fails', () => {
  test('a page says that it is offline, and reads again by itself once there is a network', async () => {
    const page = await stack.open()
    await signUp(of(page), 'offline')
    await page.context().setOffline(true)
    await page.getByRole('link', { name: 'Notices' }).first().click()
    await page.getByText('You seem to be offline.').first().waitFor()
    await page.context().setOffline(false)
    await page.getByText('There are no notices yet.').waitFor()
    stack.problems()
  })

  test('a page whose API answers 500 says so kindly and tries again when asked to', async () => {
    const page = await stack.open()
    await signUp(of(page), 'failing')
    await page.route('**/v1/invoice/list*', (route) =>
      route.fulfill({
        status: 500,
        contentType: 'application/json',
        body: '{"message":"Internal Server Error"}',
      }),
    )
    await go(page, 'Invoices')
    await button(page, 'Try again').waitFor()
    await page.unroute('**/v1/invoice/list*')
    await button(page, 'Try again').click()
    await page.getByText('Nothing has been paid yet.').waitFor()
    stack.problems()
  })

  test('a page shows that it loads while the API is slow', async () => {
    const page = await stack.open()
    await signUp(of(page), 'slow')
    let answer: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      answer = resolve
    })
    await page.route('**/v1/keys', async (route) => {
      await held
      await route.continue()
    })
    await go(page, 'Application keys')
    await page.getByText('Loading…').waitFor()
    answer()
    await page.getByText('All keys').waitFor()
    await page.getByText('Loading…').waitFor({ state: 'detached' })
  })

  test('a session that ends in the middle of a form asks for the password over it, and nothing typed is lost', async () => {
    const page = await stack.open()
    const email = await signUp(of(page), 'ended')
    await go(page, 'Profile')
    await page.getByLabel('Full name').fill('Typed Before')
    const elsewhere = await stack.open()
    await elsewhere.goto(paths.signIn)
    await elsewhere.getByLabel('E-mail address or username').fill(email)
    await elsewhere.getByLabel('Password').fill(PASSWORD)
    await button(elsewhere, 'Sign in').click()
    await go(elsewhere, 'Security')
    await button(elsewhere, 'Sign out everywhere').click()
    await elsewhere.getByRole('heading', { name: 'Sign in' }).waitFor()

    await button(page, 'Save').first().click()
    await page.getByText('Your session has ended.').waitFor()
    await page.getByRole('dialog').getByLabel('E-mail address or username').fill(email)
    await page.getByRole('dialog').getByLabel('Password').fill(PASSWORD)
    await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await page.getByLabel('Full name').inputValue()).toBe('Typed Before')
    await button(page, 'Save').first().click()
    await page.getByText('Saved.').waitFor()
  })

  test('the back button leads through the pages, a reload keeps the session, and signing out ends it in every tab', async () => {
    const page = await stack.open()
    await signUp(of(page), 'tabs')
    await go(page, 'Usage')
    await go(page, 'Cards')
    await page.goBack()
    await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor()
    const other = await page.context().newPage()
    await other.goto(paths.notices)
    await other.getByText('There are no notices yet.').waitFor()
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await other.getByRole('link', { name: 'Usage' }).click()
    await other
      .getByRole('heading', { name: /sign in/i })
      .first()
      .waitFor()
  })
})

test('a passkey is added, signs in without a password, and is removed', async () => {
  const page = await stack.open()
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  await signUp(of(page), 'passkey')
  await go(page, 'Security')
  await button(page, 'Add a passkey').click()
  await page.getByRole('dialog').getByLabel('Name').fill('laptop')
  await page.getByRole('dialog').getByRole('button', { name: 'Add a passkey' }).click()
  await button(page, 'Rename laptop').waitFor()
  await button(page, 'Sign out').first().click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await button(page, 'Use a passkey').click()
  await page.getByRole('heading', { name: 'Security' }).waitFor()
  await button(page, 'Remove laptop').click()
  await page.getByText('There are no passkeys yet.').waitFor()
  expect(stack.problems()).toEqual([])
})

/** What asks for the session in the cookie. */
const ASK = '{"session":"cookie"}'

test('a page of another origin can neither read nor use nor end the session of a browser', async () => {
  const elsewhere = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<form id="f" method="post" enctype="text/plain"><input name="x"></form>')
  })
  await new Promise<void>((resolve) => {
    elsewhere.listen(0, '127.0.0.1', resolve)
  })
  try {
    const page = await stack.open()
    await signUp(of(page), 'victim')
    expect(await page.evaluate('document.cookie')).toBe('')
    const target = pagesUrl(stack.api())
    const { port } = elsewhere.address() as AddressInfo
    // `localhost` is the same site for a browser, and 127.0.0.1 another one.
    for (const host of ['localhost', '127.0.0.1']) {
      const attacker = await page.context().newPage()
      await attacker.goto(`http://${host}:${port}/`)
      const tries = ['refresh', 'logout'].flatMap((action) =>
        ['application/json', 'text/plain'].map((type) => ({ action, type })),
      )
      for (const { action, type } of tries) {
        const request = {
          method: 'POST',
          credentials: 'include',
          headers: { 'content-type': type },
          body: ASK,
        }
        const read = await attacker.evaluate(
          `fetch("${target}/v1/auth/${action}", ${JSON.stringify(request)}).then((answer) => answer.status, () => "refused")`,
        )
        expect([action, type, read]).toEqual([action, type, 'refused'])
      }
      // The body of such a form is `name=value`, which can be JSON.
      await attacker.evaluate(
        `Object.assign(f.x, { name: '{"session":"cookie","x":"', value: '"}' }); f.action = "${target}/v1/auth/logout"; f.submit()`,
      )
      await attacker.waitForURL(`${target}/v1/auth/logout`)
      await attacker.close()
    }
    await page.reload()
    await page.getByText('calls left', { exact: true }).waitFor()
  } finally {
    elsewhere.close()
    stack.problems()
  }
})
