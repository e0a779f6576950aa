import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { pagesForTests, violationsOf } from '../support/pages.ts'
import { button } from '../support/story.ts'

beforeAll(() => void vi.stubEnv('TURNSTILE_SITE_KEY', 'the-key-of-a-widget'))
afterAll(() => void vi.unstubAllEnvs())
const stack = pagesForTests()

/** Uses more than half of what the network may ask for in an hour. */
async function useHalf(): Promise<void> {
  const ask = (n: number) =>
    fetch(`${stack.api()}/v1/auth/resend`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: `nobody${n}@mail.example` }),
    })
  const statuses = new Set<number>()
  for (let n = 0; n < 310; n += 10) {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, at) => ask(n + at)))
    for (const { status } of answers) statuses.add(status)
  }
  expect([...statuses]).toEqual([204, 403])
}

test('whoever is near a limit solves a challenge in the form and goes on; who closes it stays in the form', async () => {
  await useHalf()
  const page = await stack.open()
  await page.goto('/reset')
  await page.getByLabel('E-mail').fill('ada@mail.example')
  await button(page, 'Send the code').click()
  const dialog = page.getByRole('dialog', { name: 'Are you a person?' })
  await dialog.waitFor()
  expect(await violationsOf(page)).toEqual([])
  await button(page, 'Close').click()
  await page.getByText('You stopped it').waitFor()
  await button(page, 'Send the code').click()
  await button(page, 'I am a person').click()
  await page.getByText('If ada@mail.example has an account, a code is on its way.').waitFor()
  expect(stack.problems()).toEqual([])
})
