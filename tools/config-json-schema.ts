/** The configuration's JSON Schema, for editors: made from the schema that the program itself checks with. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { CONFIG_SCHEMA } from '../src/config/schema.js';

/** The JSON Schema (draft 2020-12) of the configuration file. */
export function configJsonSchema(): object {
  // `input`: what is written in the file, where everything may be left out.
  const schema = toJsonSchema(CONFIG_SCHEMA, { target: 'draft-2020-12', typeMode: 'input' });
  return { ...schema, title: 'selfballoon configuration' };
}
