import { expect, test } from 'vitest'
import { pagesForTests, shoot, violationsOf } from '../support/pages.ts'
import { button, PASSWORD } from '../support/story.ts'

const stack = pagesForTests()

async function register(username: string): Promise<string> {
  const email = `${username}@mail.example`
  const answer = await fetch(`${stack.api()}/rest/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, email, password: PASSWORD }),
  })
  expect(answer.status).toBe(201)
  return email
}

test('the studio leads to every page, shows the mail, moves the clock, runs jobs and switches outages', async () => {
  const page = await stack.open()
  const email = await register('studio')
  await page.goto('/')
  await page.getByText(`to ${email}`).waitFor()
  for (const name of [/Account portal/, /Operator’s console/, /API reference/, /Try the API/]) {
    await page.getByRole('link', { name }).waitFor()
  }
  await shoot(page, 'studio')

  const before = await stack.control<{ now: number }>('GET', '')
  await button(page, '+1 day').click()
  await page.getByText('A day later.').waitFor()
  const after = await stack.control<{ now: number }>('GET', '')
  expect(after.now - before.now).toBeGreaterThanOrEqual(24 * 3_600_000)
  await button(page, 'To the next renewal').click()
  await page.getByText('No renewal or retry is waiting for its time.').waitFor()
  await button(page, 'Run sweep').click()
  await page.getByText('sweep has run.').waitFor()

  const outage = page.getByRole('switch', { name: 'DynamoDB answers with errors' })
  await outage.click()
  await page.getByText('On: DynamoDB answers with errors').waitFor()
  const during = await fetch(`${stack.api()}/v1/config`)
  expect(during.status).toBe(503)
  await outage.click()
  await page.getByText('Off: DynamoDB answers with errors').waitFor()
  expect((await fetch(`${stack.api()}/v1/config`)).status).toBe(200)
  expect(stack.problems()).toEqual([])
})

test('studio and reference have no violation that axe can find in either theme, and no error in the console', async () => {
  const page = await stack.open()
  await register('axe')
  const found: string[] = []
  for (const path of ['/', '/docs', '/docs/cards', '/docs/errors']) {
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor({ state: 'attached' })
    if (path !== '/') await shoot(page, path.slice(1).replace('/', '-'))
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      found.push(...(await violationsOf(page)).map((text) => `${path} ${colorScheme}: ${text}`))
    }
    await page.emulateMedia({ colorScheme: 'light' })
  }
  expect(found).toEqual([])
  expect(stack.problems()).toEqual([])
})

test('the reference opens the document for trying it, and requests go to this stack', async () => {
  const page = await stack.open()
  await page.goto('/docs')
  await page.getByRole('link', { name: 'Try it out' }).click()
  await page.locator('.opblock').first().waitFor()
  expect(stack.problems()).toEqual([])
})
