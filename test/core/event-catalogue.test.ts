import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { eventCatalogue } from '../../core/events/catalogue.ts'

/** Members that could hold what a person is called, or where to reach one. */
const PERSONAL = /email|name|address|phone|last4|brand|ip$|text|message/i

test.each(Object.entries(eventCatalogue))(
  '%s has an example of its data, and nothing in it says who somebody is',
  (_, { data, example }) => {
    expect(z.parse(data, example)).toEqual(example)
    expect(Object.keys(data._zod.def.shape).filter((name) => PERSONAL.test(name))).toEqual([])
  },
)
