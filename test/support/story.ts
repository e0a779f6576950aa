import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { TOTP } from 'otpauth'
import type { Page } from 'playwright-core'
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

export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

export async function go(page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name, exact: true }).first().click()
  await page.getByRole('heading', { name, level: 1 }).waitFor()
}

/** The card in Stripe's element, whose double has labels of its own. */
async function fillCard(page: Page, number: string): Promise<void> {
  await page.getByLabel('Card number').fill(number)
  await page.getByLabel('Expiry (MM/YY)').fill('12/34')
  await page.getByLabel('Security code').fill('123')
}

function hold(holds: boolean, what: string): void {
  if (!holds) throw new Error(`It does not hold that ${what}.`)
}

/** Registers and confirms by the pages; the person is then signed in. */
export async function signUp({ page, api }: Person, username: string): Promise<string> {
  const email = `${username}@mail.example`
  await page.goto(paths.register)
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('E-mail address').fill(email)
  await page.getByLabel('Password').fill(PASSWORD)
  await button(page, 'Create account').click()
  await page.getByLabel('Code from the mail').fill(await mailed(api, email, CODE))
  await button(page, 'Confirm').click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.getByText('calls left', { exact: true }).waitFor()
  return email
}

/**
 * From registration by a declined card, a purchase and a renewal, both with 3-D Secure, to deletion.
 * @throws Error at the first thing that is not on the page as it should be
 */
export async function liveALife(person: Person): Promise<void> {
  const { page, api } = person
  const email = await signUp(person, 'ada')

  // A card that the bank declines, then one that works after 3-D Secure.
  await go(page, 'Cards')
  await button(page, 'Add a card').click()
  await button(page, 'Add this card').click()
  await page.getByText('Your card details are incomplete.').waitFor()
  await fillCard(page, '4000000000000002')
  await button(page, 'Add this card').click()
  await page.getByText('Your bank declined the card').waitFor()
  await fillCard(page, ASKING_CARD)
  await button(page, 'Add this card').click()
  await button(page, 'Approve').click()
  await page.getByText('The card works and is on file.').waitFor()
  await page.getByText('ending in 3184').waitFor()

  await go(page, 'Buy calls')
  await button(page, 'Choose Starter').click()
  await page.getByLabel('Street and number').fill('Main st. 1')
  await page.getByLabel('Postcode').fill('YO31 8SB')
  await page.getByLabel('City').fill('York')
  await page.getByLabel('Country').selectOption('GB')
  await fillCard(page, ASKING_CARD)
  await button(page, 'Pay $0.99').click()
  await button(page, 'Approve').click()
  await page.getByText('1,000 calls of Starter have been added.').waitFor()

  // A key, with which a service spends nearly everything; the renewal needs the bank's consent.
  await go(page, 'Application keys')
  await button(page, 'Create a key').first().click()
  await page.getByLabel('Name').fill('first')
  await page.getByRole('dialog').getByRole('button', { name: 'Create a key' }).click()
  const key = await page.getByRole('dialog').locator('code').innerText()
  await button(page, 'I have kept it').click()
  const spent = await fetch(`${api}/v1/usage`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ units: 1095, requestId: 'all', tag: 'reports' }),
  })
  if (!spent.ok) throw new Error(await spent.text())
  const link = await mailed(api, email, /http:\/\/localhost:\d+\/renewal\/[0-9a-f]{24}(?![0-9a-f])/)
  await page.goto(link)
  await page.getByText('Your bank wants you to confirm').waitFor()
  await button(page, 'Confirm with my bank').click()
  await button(page, 'Approve').click()
  await page.getByText('Paid. The calls of STARTER have been added.').waitFor()

  await go(page, 'Overview')
  await page.getByText('Calls used in the last 14 days').first().waitFor()
  await person.shoot?.(page, 'portal-overview')
  await go(page, 'Usage')
  await page.getByText('1,095').first().waitFor()
  await person.shoot?.(page, 'portal-usage')
  await page.getByLabel('Split by').selectOption('Tag')
  await page.getByText('Show as a table').click()
  await page.getByRole('columnheader', { name: 'reports' }).waitFor()
  const [file] = await Promise.all([page.waitForEvent('download'), button(page, 'Download as CSV').click()])
  hold(readFileSync(await file.path(), 'utf8').includes('1095'), 'the CSV has the calls')

  await go(page, 'Auto-renewal')
  await page.getByLabel('Renew my bundle when it runs low').uncheck()
  await button(page, 'Save').first().click()
  await page.getByText('Nothing is charged by itself. When').waitFor()
  await page.getByLabel('Tell me when fewer are left than').fill('500, 20%')
  await button(page, 'Save').last().click()
  await page.getByText('Saved.').waitFor()

  await go(page, 'Invoices')
  await page.getByRole('row').nth(2).getByRole('link').click()
  await page.getByText('STARTER (1,000 units)').waitFor()
  await go(page, 'Statement')
  await page
    .getByRole('row', { name: /Calls bought/ })
    .last()
    .getByText('2,100')
    .waitFor()
  await person.shoot?.(page, 'portal-statement')

  await go(page, 'Security')
  await button(page, 'Switch on').click()
  const seed = await page.getByRole('dialog').locator('code').innerText()
  await page.getByLabel('Code from the app').fill(await codeNow(person, seed))
  await page.getByRole('dialog').getByRole('button', { name: 'Switch on' }).click()
  await page.getByRole('dialog').getByRole('listitem').nth(9).waitFor()
  await button(page, 'I have kept it').click()

  await go(page, 'Profile')
  await page.getByLabel('Full name').fill('Ada Lovelace')
  await button(page, 'Save').first().click()
  await page.getByText('Saved.').waitFor()
  const [data] = await Promise.all([page.waitForEvent('download'), button(page, 'Download my data').click()])
  hold(readFileSync(await data.path(), 'utf8').includes('Ada Lovelace'), 'the export has the name')

  await button(page, 'Delete my account').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete my account' }).click()
  await page.getByText('You still have calls that you paid for.').waitFor()
  await button(page, 'Delete it and lose the calls').click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
}

/** A code of the authenticator app, by the clock of the stack. */
async function codeNow({ api }: Person, seed: string): Promise<string> {
  const { now } = await control<{ now: number }>(api, 'GET', '')
  return new TOTP({ secret: seed }).generate({ timestamp: now })
}
