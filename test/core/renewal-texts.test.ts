import { expect, test } from 'vitest'
import { renderMail } from '../../core/notifications/mails.ts'
import { renewalText, renewalTextKeys } from '../../core/notifications/renewal-texts.ts'

const news = (state: (typeof renewalTextKeys)[number]['state'], reason: string) => ({
  state,
  reason,
  bundle: 'STARTER',
  nextAttemptAtMs: Date.UTC(2026, 10, 21, 18, 30),
  limit: state === 'capped' ? 2_000 : 3,
})

test('each change of auto-renewal reads as the preview in __snapshots__ shows it', async () => {
  const preview = renewalTextKeys.map(({ state, reason }) => {
    const { subject, happened, next } = renewalText(news(state, reason))
    return `${state}, ${reason}\n  ${subject}\n  ${happened}\n  ${next}\n`
  })
  await expect(preview.join('\n')).toMatchFileSnapshot('__snapshots__/renewal-texts.txt')
})

test('a reason without a text of its own gets that of its state, also one named as a property of objects', () => {
  for (const reason of ['something_new', 'constructor', '__proto__'])
    expect(renewalText(news('paused', reason)).happened).toContain('because your card was declined')
})

test('the mail about a hold says what was charged, what used the units, and has both links', async () => {
  const { subject, text, html } = renderMail('john.doe@mail.com', 'renewal-state', {
    username: 'john.doe',
    bundle: 'STARTER',
    news: news('held_back', 'hourly_limit'),
    renewed: { month: '2026-11', cents: 297, count: 3 },
    keyUse: [
      { name: 'default', units: 2_895 },
      { name: 'batch <jobs>', units: 1 },
      { name: undefined, units: 200 },
    ],
    stopCode: 'S'.repeat(54),
    allowCode: 'A'.repeat(54),
    appUrl: 'https://app.mail.com',
  })
  await expect(`Subject: ${subject}\n\n${text}`).toMatchFileSnapshot('__snapshots__/renewal-held-back.txt')
  await expect(`${html.replaceAll('<p>', '\n<p>')}\n`).toMatchFileSnapshot(
    '__snapshots__/renewal-held-back.html',
  )
})
