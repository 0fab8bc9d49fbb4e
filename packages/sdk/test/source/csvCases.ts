/** CSV texts with what they hold, as Python's `csv` module reads them; a string says what is wrong with the text. */
export interface CsvCase {
  readonly name: string
  readonly text: string
  readonly expected: ReadonlyArray<ReadonlyArray<string>> | string
}

const abc = ["a", "b", "c"]
const longField = "long \"\" text, \n".repeat(5000)

export const csvCases: ReadonlyArray<CsvCase> = [
  { name: "plain", text: "a,b,c\n1,2,3\n4,5,6\n", expected: [abc, ["1", "2", "3"], ["4", "5", "6"]] },
  { name: "no line end at the end", text: "a,b,c\n1,2,3\n4,5,6", expected: [abc, ["1", "2", "3"], ["4", "5", "6"]] },
  { name: "CRLF", text: "a,b,c\r\n1,2,3\r\n4,5,6\r\n", expected: [abc, ["1", "2", "3"], ["4", "5", "6"]] },
  { name: "CRLF, none at the end", text: "a,b,c\r\n1,2,3\r\n4,5,6", expected: [abc, ["1", "2", "3"], ["4", "5", "6"]] },
  { name: "byte order mark", text: "\ufeffa,b,c\n1,2,3\n", expected: [abc, ["1", "2", "3"]] },
  { name: "byte order mark before quotes", text: "\ufeff\"a\",\"b\",\"c\"\n1,2,3\n", expected: [abc, ["1", "2", "3"]] },
  { name: "quoted comma", text: "a,b,c\n\"1,1\",2,\"3,3\"\n", expected: [abc, ["1,1", "2", "3,3"]] },
  {
    name: "escaped quotes",
    text: "a,b,c\n\"he said \"\"hi\"\"\",2,\"\"\"\"\n",
    expected: [abc, ["he said \"hi\"", "2", "\""]]
  },
  {
    name: "line ends in quotes",
    text: "a,b,c\n\"l1\nl2\n\nl4\",2,3\nx,\"y\n\",z\n",
    expected: [abc, ["l1\nl2\n\nl4", "2", "3"], ["x", "y\n", "z"]]
  },
  {
    name: "CRLF in quotes",
    text: "a,b,c\r\n\"l1\r\nl2\",2,3\r\nx,\"y\r\n\",z\r\n",
    expected: [abc, ["l1\r\nl2", "2", "3"], ["x", "y\r\n", "z"]]
  },
  {
    name: "LF in quotes in a CRLF file",
    text: "a,b,c\r\n\"l1\nl2\",2,3\r\nx,y,z\r\n",
    expected: [abc, ["l1\nl2", "2", "3"], ["x", "y", "z"]]
  },
  {
    name: "CRLF in quotes in an LF file",
    text: "a,b,c\n\"l1\r\nl2\",2,3\nx,y,z\n",
    expected: [abc, ["l1\r\nl2", "2", "3"], ["x", "y", "z"]]
  },
  {
    name: "unicode",
    text: "a,b,c\nnaïve café,日本語のテキスト,😀👍🏽\nΕλλ,\"“q”, é\",€\n",
    expected: [abc, ["naïve café", "日本語のテキスト", "😀👍🏽"], ["Ελλ", "“q”, é", "€"]]
  },
  {
    name: "empty fields",
    text: "a,b,c\n,,\n1,,3\n,2,\n\"\",\"\",\"\"\n",
    expected: [abc, ["", "", ""], ["1", "", "3"], ["", "2", ""], ["", "", ""]]
  },
  { name: "last field empty at the end", text: "a,b,c\n1,2,", expected: [abc, ["1", "2", ""]] },
  { name: "last field quoted at the end", text: "a,b,c\n1,2,\"3\"", expected: [abc, ["1", "2", "3"]] },
  {
    name: "quotes inside a bare field",
    text: "a,b,c\n1,x\"y\"z,3\n4,5\" nails,6\n",
    expected: [abc, ["1", "x\"y\"z", "3"], ["4", "5\" nails", "6"]]
  },
  { name: "spaces", text: "a,b,c\n 1 ,  2, 3 \n", expected: [abc, [" 1 ", "  2", " 3 "]] },
  { name: "too few fields", text: "a,b,c\n1,2\n4,5,6\n", expected: "row 1, column \"c\"" },
  { name: "too many fields", text: "a,b,c\n1,2,3,4\n4,5,6\n", expected: "row 1, column \"extra field 4\"" },
  { name: "blank lines", text: "a,b,c\n1,2,3\n\n4,5,6\n\n", expected: [abc, ["1", "2", "3"], ["4", "5", "6"]] },
  { name: "blank line at the end", text: "a,b,c\n1,2,3\n\n", expected: [abc, ["1", "2", "3"]] },
  { name: "one column", text: "a\n1\n\"x\ny\"\n3\n", expected: [["a"], ["1"], ["x\ny"], ["3"]] },
  { name: "header only", text: "a,b,c\n", expected: [abc] },
  { name: "a name twice", text: "a,a,b\n1,2,3\n", expected: "names \"a\" twice" },
  { name: "only an empty quoted field last", text: "a,b\n1,\"\"\n", expected: [["a", "b"], ["1", ""]] },
  {
    name: "a long field",
    text: `a,b\n1,"${longField}"\n2,x\n`,
    expected: [["a", "b"], ["1", longField.replaceAll("\"\"", "\"")], ["2", "x"]]
  },
  { name: "a tab in a field", text: "a,b\n\"x\ty\",z\n", expected: [["a", "b"], ["x\ty", "z"]] },
  {
    name: "more semicolons than commas",
    text: "a,b\n\"x;y;z;w\",1;2;3\n\"x;y;z;w\",1;2;3\n",
    expected: [["a", "b"], ["x;y;z;w", "1;2;3"], ["x;y;z;w", "1;2;3"]]
  },
  { name: "text after a closing quote", text: "a,b\n\"x\"y,2\n3,4\n", expected: "row 1: a quoted field is not closed" },
  {
    name: "texts that look like numbers and nulls",
    text: "id,b\n007,1e5\nNA,null\n",
    expected: [["id", "b"], ["007", "1e5"], ["NA", "null"]]
  },
  { name: "a zero byte", text: "a,b\n1,\u0000x\n", expected: [["a", "b"], ["1", "\u0000x"]] }
]
