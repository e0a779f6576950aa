import { expect, test } from 'vitest'
import { ALARM_LINE, FAILED_LINE, LATE_LINE, LEFT_LINE, OVERDUE_LINE } from '../../functions/deploy/alarms.ts'
import { DECLINE_LINE, FIELDS, queriesOf, REFUSED, SUCCEEDED } from '../../functions/deploy/attack.ts'
import { functions } from '../../functions/deploy/functions.ts'

/** The deployment counts log lines by pattern. These tests check the patterns against real lines. */
const pattern = (filter: string) => new RegExp(/^%(.*)%$/.exec(filter)?.[1] ?? '^$')

/** Both forms of a log line: as the function writes it, and inside Lambda's own JSON. */
const forms = (line: object): string[] => {
  const text = JSON.stringify(line)
  return [text, JSON.stringify({ timestamp: '2026-11-21T12:00:00.000Z', level: 'INFO', message: text })]
}

test('a line of level alarm is counted in both forms, and no other line is', () => {
  for (const form of forms({ level: 'alarm', job: 'sweep', alarm: 'a' })) {
    expect(form).toMatch(pattern(ALARM_LINE))
  }
  for (const form of forms({ level: 'info', job: 'sweep', alarms: ['alarm'] })) {
    expect(form).not.toMatch(pattern(ALARM_LINE))
  }
})

test('a run that left something undone is counted in both forms, and no other run is', () => {
  for (const done of [{ renewed: 1, failed: 1 }, { failed: 20 }, { eventsFailed: 3, holdsEnded: 0 }]) {
    for (const form of forms({ level: 'info', ...done })) expect(form).toMatch(pattern(FAILED_LINE))
  }
  for (const form of forms({ level: 'info', failed: 0, renewed: 5, eventsFailed: 0 })) {
    expect(form).not.toMatch(pattern(FAILED_LINE))
  }
})

test('a run that found overdue mail is counted in both forms, and no other run is', () => {
  const run = { level: 'info', job: 'send-mail', sent: 3, failed: 0, dropped: 2 }
  for (const form of forms({ ...run, overdue: 12 })) expect(form).toMatch(pattern(OVERDUE_LINE))
  for (const form of forms({ ...run, overdue: 0 })) expect(form).not.toMatch(pattern(OVERDUE_LINE))
})

test('a run that found late mail, or left some, is counted in both forms, and no other run is', () => {
  const run = { level: 'info', job: 'send-mail', sent: 12, oldestSeconds: 12, leftOut: 3 }
  for (const form of forms({ ...run, late: 1, left: 40 })) {
    expect(form).toMatch(pattern(LATE_LINE))
    expect(form).toMatch(pattern(LEFT_LINE))
  }
  for (const form of forms({ ...run, late: 0, left: 0 })) {
    expect(form).not.toMatch(pattern(LATE_LINE))
    expect(form).not.toMatch(pattern(LEFT_LINE))
  }
})

/** An expression of Logs Insights, which stands between slashes. */
const insights = (text: string) => new RegExp(text.slice(1, -1))

test('the saved queries read the fields of a request in both forms', () => {
  const line = {
    level: 'info',
    requestId: 'Kd3',
    route: 'v1/request-password-reset',
    status: 429,
    ms: 4,
    accountId: '0123456789abcdef01234567',
    source: 'abcdef012345',
    error: 'too_many_requests',
  }
  const run = { level: 'info', job: 'send-mail', ms: 12, oldestSeconds: 340, late: 1, left: 7 }
  for (const form of forms(line)) {
    const read = (field: keyof typeof FIELDS) => insights(FIELDS[field]).exec(form)?.groups?.[field]
    expect(
      ['source', 'route', 'account', 'error'].map((field) => read(field as keyof typeof FIELDS)),
    ).toEqual([line.source, line.route, line.accountId, line.error])
    expect(form).toMatch(insights(REFUSED))
    expect(form).not.toMatch(insights(SUCCEEDED))
  }
  for (const form of forms(run))
    expect(
      (['oldest', 'left'] as const).map((field) => insights(FIELDS[field]).exec(form)?.groups?.[field]),
    ).toEqual(['340', '7'])
  for (const form of forms({ ...line, status: 204, error: undefined })) {
    expect(form).toMatch(insights(SUCCEEDED))
    expect(form).not.toMatch(insights(REFUSED))
  }
})

test('a declined card is counted in both forms, and no other refusal is', () => {
  for (const form of forms({ level: 'info', status: 402, error: 'card_declined' }))
    expect(form).toMatch(pattern(DECLINE_LINE))
  for (const form of forms({ level: 'info', status: 402, error: 'quota_exhausted' }))
    expect(form).not.toMatch(pattern(DECLINE_LINE))
})

test('a saved query searches logs that exist, as many as CloudWatch takes', () => {
  const names = functions.map(({ name }) => name)
  for (const { name, logs } of queriesOf('bursar-production')) {
    if (logs === 'access') continue
    expect(logs.length, name).toBeGreaterThan(0)
    expect(logs.length, name).toBeLessThanOrEqual(50)
    expect(new Set(logs).size, name).toBe(logs.length)
    for (const log of logs) expect(names, name).toContain(log)
  }
})
