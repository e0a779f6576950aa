import { expect, test } from 'vitest'
import { markdown } from '../../functions/http/markdown.ts'

test('the lines of a paragraph become one line, and an empty line begins a new paragraph', () => {
  expect(markdown('One', 'two.', '', 'Three.')).toBe('One two.\n\nThree.')
})

test('a list item, a row of a table and a heading each begin a line of their own', () => {
  expect(markdown('A list:', '- one', 'goes on', '- two')).toBe('A list:\n- one goes on\n- two')
  expect(markdown('| a |', '| --- |', '| 1 |', '', '## Title', '', 'Text.')).toBe(
    '| a |\n| --- |\n| 1 |\n\n## Title\n\nText.',
  )
})
