import { describe, expect, test } from 'vitest'
import { isForAnyone, type MailTemplate, mailTemplates, renderMail } from '../../core/notifications/mails.ts'

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
    alert: { below: 0.2, threshold: 200, left: 180, atMs: Date.UTC(2026, 10, 21, 12) },
    renewed: { month: '2026-11', cents: 198, count: 2 },
    keyUse: [
      { name: 'default', units: 1_790 },
      { name: 'batch jobs', units: 300 },
    ],
    stopCode: 'S'.repeat(54),
    appUrl: 'https://app.mail.com',
    appName: 'Acme',
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

/** Texts of which mail clients make links, by what they are. */
const HOSTILE: [string, string][] = [
  ['a URL', 'https://evil.example/login?a=b#c'],
  ['a URL without a host name', 'http://localhost:3000'],
  ['another scheme', 'tel:+18005550199'],
  ['a script', 'javascript:alert(1)'],
  ['a domain', 'claim-x.evil-site.com'],
  ['a domain after words', 'you won: visit evil.co.uk now'],
  ['www', 'www.evil.example'],
  ['a Cyrillic domain', 'пример.рф'],
  ['a Chinese domain with its own dot', '例え。テスト'],
  ['a domain with a full-width dot', 'evil．com'],
  ['a domain with a half-width dot', 'evil｡com'],
  ['a domain with a one-dot leader', 'evil․com'],
  ['a domain in full-width letters', 'ｅｖｉｌ．ｃｏｍ'],
  ['a digit with its own full stop', '⒈evil⒈com'],
  ['an Arabic domain', 'موقع.وزارة'],
  ['an Indian domain', 'डाटामेल.भारत'],
  ['Punycode', 'xn--e1afmkfd.xn--p1ai'],
  ['an e-mail address', 'help@evil.example'],
  ['an e-mail address with a full-width at sign', 'help＠evil.example'],
  ['an IPv4 address', '203.0.113.7'],
  ['an IPv6 address', '[2001:db8::1]:443'],
  ['a telephone number', '+1-800-555-0199'],
  ['a telephone number in one piece', '18005550199'],
  ['a telephone number in Arabic digits', '٠٩٨٧٦٥٤٣٢١'],
  ['a network path', '\\\\evil\\share'],
  ['markup', `<a href="https://evil.example">it's & so</a>`],
  ['Markdown', '[x](https://evil.example)'],
]

/** What the linkers of mail clients look for, in any script, after the compatible forms of letters are folded. */
const LINKS =
  /:\/\/|\\\\|\b(?:https?|ftp|mailto|tel|javascript):|[\p{L}\p{M}\p{N}][.。:@][\p{L}\p{M}\p{N}]|(?:\p{N}[ ().+-]*){7}/iu

/** The lines and the subject of a mail in which the username and the name of a key are this text. */
function said(template: MailTemplate, text: string): { lines: string[]; html: string; subject: string } {
  const mail = renderMail('john.doe@mail.com', template, {
    username: text,
    code: 'f'.repeat(32),
    renewed: { month: '2026-11', cents: 198, count: 2 },
    keyUse: [{ name: text, units: 1 }],
  })
  return { lines: mail.text.split('\n'), html: mail.html, subject: mail.subject }
}

describe.each(mailTemplates)('%s', (template) => {
  test.each(HOSTILE)('makes no link of a name that is %s', (_, hostile) => {
    const [plain, mail] = [said(template, 'sam'), said(template, hostile)]
    const [ours, theirs] = [new Set(plain.lines), mail.lines.map((line) => line.normalize('NFKC'))]
    const quoting = theirs.filter((line) => !ours.has(line))
    for (const line of quoting)
      expect(line.replaceAll('2026-11,', '').replace(' application key:', '')).not.toMatch(LINKS)
    expect(mail.subject).toBe(plain.subject)
    expect(mail.html.replaceAll(/<\/?(?:html|head|meta|body|p|!doctype)[^<>]*>/g, '')).not.toMatch(/[<>"']/)
  })

  test('quotes nothing that a person wrote, if it may reach an address that nobody has proved', () => {
    if (isForAnyone(template)) expect(said(template, 'eve')).toEqual(said(template, 'mallory'))
    else expect(said(template, 'eve')).not.toEqual(said(template, 'mallory'))
  })
})

test('the mails that anybody can cause are those that carry a code, but for invitations, which the operator sends', () => {
  const carriesCode = (template: MailTemplate) =>
    renderMail('a@mail.com', template, { username: 'sam', code: CODE }).text.includes(CODE)
  const coded = mailTemplates.filter(carriesCode)
  expect(coded).toContain('invitation')
  expect(mailTemplates.filter(isForAnyone)).toEqual(coded.filter((template) => template !== 'invitation'))
})

test('a greeting has the name if it is a word, and names of keys stand in quotation marks', () => {
  const lines = (username: string) => said('renewed', username).lines
  expect(lines('ada_99')[0]).toBe('Hello ada_99,')
  expect(lines('ada.lovelace')[0]).toBe('Hello,')
  expect(lines('ada.lovelace').join()).toContain('by application key: “ada·lovelace” 1 unit.')
  expect(lines('علی‌رضا 👩‍🔬').join()).toContain('“علی‌رضا 👩‍🔬” 1 unit.')
})

test('our own links are links', () => {
  const values = { username: 'sam', event: 'restored', appUrl: 'https://app.mail.com' } as const
  expect(renderMail('a@mail.com', 'security', values).html).toContain(
    '<p><a href="https://app.mail.com">https://app.mail.com</a></p>',
  )
})

test.each(mailTemplates)('%s: names no host and has no link', (template) => {
  const { subject, text, html } = renderMail('john.doe@mail.com', template, {
    username: 'john.doe',
    code: CODE,
  })
  const said = [subject, text, html].join('\n').replaceAll('john.doe', '')
  expect(said).not.toMatch(/https?:|www\.|href|src=|[a-z]\.[a-z]/i)
})
