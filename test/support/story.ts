import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { TOTP } from 'otpauth'
import type { Locator, Page } from 'playwright-core'
import { paths } from '../../functions/pages/portal/paths.ts'

/** The life of an account, lived by what a person sees and can do, in any browser. */

/** Somebody in front of a page of the local stack, with a mailbox. */
export interface Person {
  page: Page
  /** Where the API is, for the services that spend calls, and the controls of the local stack. */
  api: string
  /** Keeps a picture of the page at a moment that has something to show. */
  shoot?: (page: Page, name: string) => Promise<void>
}

/** Asks for a control of the local stack. @throws Error with what the stack says */
export async function control<T>(api: string, method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${api}/_local${path && `/${path}`}`, {
    method,
    ...(body && { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(await answer.text())
  return (answer.status === 204 ? undefined : await answer.json()) as T
}

const ASKS = 300
const BETWEEN_MS = 200

/** Waits for a mail to an address, and takes from the last one what matches. */
export async function mailed(api: string, to: string, pattern: RegExp): Promise<string> {
  for (let asks = 0; asks < ASKS; asks++) {
    const mails = await control<{ text: string }[]>(api, 'GET', `mail?to=${encodeURIComponent(to)}`)
    const found = mails.map(({ text }) => pattern.exec(text)?.[0]).findLast((match) => match)
    if (found) return found
    await setTimeout(BETWEEN_MS)
  }
  throw new Error(`No mail to ${to} has come that matches ${pattern}.`)
}

export const PASSWORD = 'Hello123!'
const CODE = /\b[0-9a-f]{32}\b/
/** Stripe's test card whose bank asks for 3-D Secure at every payment. */
const ASKING_CARD = '4000002760003184'

/** Pages whose person has no mouse. */
const byKeyboard = new WeakSet<Page>()

/** From now on everything on the page is done by keyboard alone. */
export const useKeyboard = (page: Page): void => void byKeyboard.add(page)

/** As many controls as a page may have before the one that is wanted. */
const MOST_TABS = 200

/** Presses Tab until a control has the focus. */
async function reach(control: Locator): Promise<void> {
  await control.waitFor()
  for (let presses = 0; presses < MOST_TABS; presses++) {
    const isThere = await control.evaluate(
      (element) =>
        (element as unknown as { ownerDocument: { activeElement: unknown } }).ownerDocument.activeElement ===
        element,
    )
    if (isThere) return
    await control.page().keyboard.press('Tab')
  }
  throw new Error(`The keyboard does not reach ${control}.`)
}

async function press(control: Locator, key = 'Enter'): Promise<void> {
  if (!byKeyboard.has(control.page())) return control.click()
  await reach(control)
  await control.page().keyboard.press(key)
}

async function type(field: Locator, text: string): Promise<void> {
  if (!byKeyboard.has(field.page())) return field.fill(text)
  await reach(field)
  await field.page().keyboard.press('ControlOrMeta+A')
  await field.page().keyboard.type(text)
}

async function choose(field: Locator, label: string): Promise<void> {
  if (!byKeyboard.has(field.page())) return void (await field.selectOption(label))
  await reach(field)
  await field.page().keyboard.type(label)
}

export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

export async function go(page: Page, name: string): Promise<void> {
  await press(page.getByRole('link', { name, exact: true }).first())
  await page.getByRole('heading', { name, level: 1 }).waitFor()
}

/** The card in Stripe's element, whose double has labels of its own. */
async function fillCard(page: Page, number: string): Promise<void> {
  await type(page.getByLabel('Card number'), number)
  await type(page.getByLabel('Expiry (MM/YY)'), '12/34')
  await type(page.getByLabel('Security code'), '123')
}

function hold(holds: boolean, what: string): void {
  if (!holds) throw new Error(`It does not hold that ${what}.`)
}

/** Registers and confirms by the pages; the person is then signed in. */
export async function signUp({ page, api }: Person, username: string): Promise<string> {
  const email = `${username}@mail.example`
  await page.goto(paths.register)
  await register(page, username, email)
  await confirm({ page, api }, email)
  return email
}

/** Fills in the form of the registration. */
export async function register(page: Page, username: string, email: string): Promise<void> {
  await type(page.getByLabel('Username'), username)
  await type(page.getByLabel('E-mail address'), email)
  await type(page.getByLabel('Password'), PASSWORD)
  await press(button(page, 'Create account'))
  await page.getByRole('heading', { name: 'Confirm your address' }).waitFor()
}

/** Types the code that was mailed to an address, which signs in. */
export async function confirm({ page, api }: Person, email: string): Promise<void> {
  await type(page.getByLabel('Code from the mail'), await mailed(api, email, CODE))
  await press(button(page, 'Confirm'))
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.getByText('calls left', { exact: true }).waitFor()
}

/**
 * From registration by a declined card, a purchase and a renewal, both with 3-D Secure, to deletion.
 * @throws Error at the first thing that is not on the page as it should be
 */
export async function liveALife(person: Person, username = 'ada'): Promise<void> {
  const { page, api } = person
  const email = await signUp(person, username)

  // A card that the bank declines, then one that works after 3-D Secure.
  await go(page, 'Cards')
  await press(button(page, 'Add a card'))
  await press(button(page, 'Add this card'))
  await page.getByText('Your card details are incomplete.').waitFor()
  await fillCard(page, '4000000000000002')
  await press(button(page, 'Add this card'))
  await page.getByText('Your bank declined the card').waitFor()
  await fillCard(page, ASKING_CARD)
  await press(button(page, 'Add this card'))
  await press(button(page, 'Approve'))
  await page.getByText('The card works and is on file.').waitFor()
  await page.getByText('ending in 3184').waitFor()

  await go(page, 'Buy calls')
  await press(button(page, 'Choose Starter'))
  await type(page.getByLabel('Street and number'), 'Main st. 1')
  await type(page.getByLabel('Postcode'), 'YO31 8SB')
  await type(page.getByLabel('City'), 'York')
  await choose(page.getByLabel('Country'), 'United Kingdom')
  await fillCard(page, ASKING_CARD)
  await press(button(page, 'Pay $0.99'))
  await press(button(page, 'Approve'))
  await page.getByText('1,000 calls of Starter have been added.').waitFor()

  // A key, with which a service spends nearly everything; the renewal needs the bank's consent.
  await go(page, 'Application keys')
  await press(button(page, 'Create a key').first())
  await type(page.getByLabel('Name'), 'first')
  await press(page.getByRole('dialog').getByRole('button', { name: 'Create a key' }))
  const key = await page.getByRole('dialog').locator('code').innerText()
  await press(button(page, 'I have kept it'))
  const spent = await fetch(`${api}/v1/usage`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ units: 1095, requestId: 'all', tag: 'reports' }),
  })
  if (!spent.ok) throw new Error(await spent.text())
  const link = await mailed(api, email, /http:\/\/localhost:\d+\/renewal\/[0-9a-f]{24}(?![0-9a-f])/)
  await page.goto(link)
  await page.getByText('Your bank wants you to confirm').waitFor()
  await press(button(page, 'Confirm with my bank'))
  await press(button(page, 'Approve'))
  await page.getByText('Paid. The calls of STARTER have been added.').waitFor()

  await go(page, 'Overview')
  await page.getByText('Calls used in the last 14 days').first().waitFor()
  await person.shoot?.(page, 'portal-overview')
  await go(page, 'Usage')
  await page.getByText('1,095').first().waitFor()
  await person.shoot?.(page, 'portal-usage')
  await choose(page.getByLabel('Split by'), 'Tag')
  await press(page.getByText('Show as a table'))
  await page.getByRole('columnheader', { name: 'reports' }).waitFor()
  const [file] = await Promise.all([page.waitForEvent('download'), press(button(page, 'Download as CSV'))])
  hold(readFileSync(await file.path(), 'utf8').includes('1095'), 'the CSV has the calls')

  await go(page, 'Auto-renewal')
  await press(page.getByLabel('Renew my bundle when it runs low'), 'Space')
  await press(button(page, 'Save').first())
  await page.getByText('Nothing is charged by itself. When').waitFor()
  await type(page.getByLabel('Tell me when fewer are left than'), '500, 20%')
  await press(button(page, 'Save').last())
  await page.getByText('Saved.').waitFor()

  await go(page, 'Invoices')
  await press(page.getByRole('row').nth(2).getByRole('link'))
  await page.getByText('STARTER (1,000 units)').waitFor()
  await go(page, 'Statement')
  await page
    .getByRole('row', { name: /Calls bought/ })
    .last()
    .getByText('2,100')
    .waitFor()
  await person.shoot?.(page, 'portal-statement')

  await go(page, 'Security')
  await press(button(page, 'Switch on'))
  const seed = await page.getByRole('dialog').locator('code').innerText()
  await type(page.getByLabel('Code from the app'), await codeNow(person, seed))
  await press(page.getByRole('dialog').getByRole('button', { name: 'Switch on' }))
  await page.getByRole('dialog').getByRole('listitem').nth(9).waitFor()
  await press(button(page, 'I have kept it'))

  await go(page, 'Profile')
  await type(page.getByLabel('Full name'), 'Ada Lovelace')
  await press(button(page, 'Save').first())
  await page.getByText('Saved.').waitFor()
  const [data] = await Promise.all([page.waitForEvent('download'), press(button(page, 'Download my data'))])
  hold(readFileSync(await data.path(), 'utf8').includes('Ada Lovelace'), 'the export has the name')

  await press(button(page, 'Delete my account'))
  await press(page.getByRole('dialog').getByRole('button', { name: 'Delete my account' }))
  await page.getByText('You still have calls that you paid for.').waitFor()
  await press(button(page, 'Delete it and lose the calls'))
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
}

/** A code of the authenticator app, by the clock of the stack. */
async function codeNow({ api }: Person, seed: string): Promise<string> {
  const { now } = await control<{ now: number }>(api, 'GET', '')
  return new TOTP({ secret: seed }).generate({ timestamp: now })
}
