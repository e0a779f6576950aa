import { expect, test } from 'vitest'
import { isIdleRun } from './idle-run.ts'

const line = (more: object) => JSON.stringify({ level: 'info', job: 'send-mail', ms: 12, ...more })

test.each([
  ['counts that are all 0', line({ asked: 0, sent: 0, failed: 0 })],
  ['empty lists, and counts of 0 in groups', line({ cards: { told: 0 }, alarms: [] })],
])('a run with %s is idle', (_, text) => {
  expect(isIdleRun(text)).toBe(true)
})

test.each([
  ['a count', line({ asked: 0, sent: 1 })],
  ['a count in a group', line({ cards: { told: 1 } })],
  ['an alarm', line({ sent: 0, alarms: ['payment pi_1: charged'] })],
  ['a word', line({ notice: 'added' })],
  ['no count at all', line({})],
  ['the level warn', line({ level: 'warn', failed: 0 })],
  ['the level error', line({ level: 'error', failed: 0 })],
  ['the level alarm', line({ level: 'alarm', failed: 0 })],
  ['a request', JSON.stringify({ level: 'info', route: 'GET /health', ms: 0, status: 0 })],
  ['text', 'nothing'],
  ['text like JSON', '{"level":"info"'],
  ['an object', { level: 'info', job: 'send-mail', sent: 0 }],
])('a line with %s is shown', (_, text) => {
  expect(isIdleRun(text)).toBe(false)
})
