import { expect, test } from 'vitest'
import { mailTemplates, renderMail } from '../../core/notifications/mails.ts'

const CODE = 'b352935253674aeeb43d4ed4362745ab'

/** A change of auto-renewal, as the mails about one show it. */
const newsFor = (template: string) =>
  template === 'renewal-declined'
    ? ({ state: 'retrying', reason: 'insufficient_funds', bundle: 'STARTER' } as const)
    : ({ state: 'on', reason: 'other', bundle: 'STARTER' } as const)

test.each(mailTemplates)('%s reads as the preview in __snapshots__/mails shows it', async (template) => {
  const { to, subject, text, html } = renderMail('john.doe@mail.com', template, {
    username: 'john.doe',
    code: CODE,
    bundle: 'STARTER',
    amountCents: 99,
    purchaseId: '0197f2a0c3d4e5f60718293a',
    news: newsFor(template),
    renewed: { month: '2026-11', cents: 198, count: 2 },
    keyUse: [
      { name: 'default', units: 1_790 },
      { name: 'batch jobs', units: 300 },
    ],
    stopCode: 'S'.repeat(54),
    appUrl: 'https://app.mail.com',
  })
  await expect(`To: ${to}\nSubject: ${subject}\n\n${text}`).toMatchFileSnapshot(
    `__snapshots__/mails/${template}.txt`,
  )
  // Each paragraph is on a line of its own, which makes a review easier.
  await expect(`${html.replaceAll('<p>', '\n<p>')}\n`).toMatchFileSnapshot(
    `__snapshots__/mails/${template}.html`,
  )
})

test.each(mailTemplates)('%s: text and HTML say the same, line by line', (template) => {
  const { text, html } = renderMail('john.doe@mail.com', template, { username: 'john.doe', code: CODE })
  const paragraphs = [...html.matchAll(/<p>(.*?)<\/p>/g)].map(([, line = '']) =>
    line.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))),
  )
  expect(`${paragraphs.join('\n\n')}\n`).toBe(text)
})

test.each(mailTemplates)('%s: nothing that a user chose becomes markup, a header or a link', (template) => {
  const username = `<a href="https://evil.example">it's & so</a>`
  const { to, subject, text, html } = renderMail('john.doe@mail.com', template, { username, code: CODE })
  expect(text).toContain(username)
  expect(html.replaceAll(/<\/?(?:html|body|p|!doctype)[^<>]*>/g, '')).not.toMatch(/[<>"']/)
  expect(html).toContain('&#60;a href=&#34;https://evil.example&#34;&#62;it&#39;s &#38; so&#60;/a&#62;')
  expect([to, subject].join()).not.toMatch(/evil|[\r\n]/)
})

test.each(mailTemplates)('%s: names no host and has no link', (template) => {
  const { subject, text, html } = renderMail('john.doe@mail.com', template, {
    username: 'john.doe',
    code: CODE,
  })
  const said = [subject, text, html].join('\n').replaceAll('john.doe', '')
  expect(said).not.toMatch(/https?:|www\.|href|src=|[a-z]\.[a-z]/i)
})
