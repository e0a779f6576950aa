import { beforeEach, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { expectSampleCost } from './costs.ts'
import { OPERATOR_COSTS } from './operator-costs.ts'

const app = await startApp()
// Work that another test left, or still does, must not be counted.
beforeEach(app.startAfresh)

test.each(OPERATOR_COSTS)('%s has exactly its listed cost', (route, expected) =>
  expectSampleCost(app, route, expected),
)
