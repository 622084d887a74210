import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const ownRules = {
  'max-lines': ['error', { max: 400 }],
  'max-lines-per-function': ['error', { max: 70 }],
  eqeqeq: 'error',
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  '@typescript-eslint/consistent-type-imports': 'error',
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  'no-restricted-syntax': [
    'error',
    { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
    { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' },
  ],
};

export default tseslint.config(
  { ignores: ['.build-*/', 'dist/', 'node_modules/', 'test/fixtures/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: ownRules,
  },
  {
    // Page counts pass 2^31; a bitwise operator would cut them to 32 bits without a word.
    files: ['src/policies/**/*.ts', 'src/balloon/**/*.ts', 'src/control/**/*.ts', 'src/units.ts'],
    rules: { 'no-bitwise': 'error' },
  },
  {
    // A describe block is a table of contents, not a function to keep short; node:test's own promises are awaited by its runner.
    files: ['test/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-floating-promises': 'off' },
  },
);
